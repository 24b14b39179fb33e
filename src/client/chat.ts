import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type CallOptions, type Client, Code, ConnectError } from "@connectrpc/connect";
import {
  type ChatMessage,
  type ChatMessageSchema,
  ChatMessageType,
  type UserService,
} from "../gen/user/v1/user_service_pb.ts";
import { Backoff, isPassing } from "./backoff.ts";
import { Mailbox } from "./mailbox.ts";

/** The part of a client that talks. */
export type ChattingClient = Pick<Client<typeof UserService>, "chat">;

type ChatInit = MessageInitShape<typeof ChatMessageSchema>;

/** How a room is joined. */
export interface JoinOptions extends Pick<CallOptions, "headers" | "signal"> {
  /** The last sequence that is known already: history begins after it. 0, and so all that is kept, by default. */
  readonly afterSequence?: number | bigint;
  /** Who speaks, where the service runs without authentication; elsewhere it is who the token says. */
  readonly userId?: string;
  /** Has nothing to iterate over, for those who only post. */
  readonly postOnly?: boolean;
  /** Is told of each interruption, before the room is joined again. */
  readonly onInterrupted?: (error: ConnectError) => void;
}

/** How a text is posted. */
export interface PostOptions {
  /**
   * Makes the text safe to post again from another process: an id that nobody else in the room uses; a new UUID by
   * default. If the text came before what is known here, it does not come again: `send` then rejects with
   * ALREADY_EXISTS at the end of `close`.
   */
  readonly clientMessageId?: string;
}

/** A text that has not come back. */
interface Pending {
  readonly message: ChatInit;
  readonly posted: PromiseWithResolvers<ChatMessage>;
}

/** So many messages wait for a reader before no more are taken from the service. */
const MAX_UNREAD = 256;
/**
 * So many texts with ids of the caller's own are remembered, because they do not come again when they are sent again.
 */
const MAX_REMEMBERED = 1000;

/**
 * Being in a room, over as many calls as it takes. What happens there is iterated over, in order and without gaps or
 * repetitions: texts, and who is there, comes and goes (CHAT_MESSAGE_TYPE_*). Who iterates slowly is fed from history
 * later.
 */
export class Room implements AsyncIterable<ChatMessage>, AsyncDisposable {
  /** The name of the room. */
  readonly name: string;
  readonly #client: ChattingClient;
  readonly #options: JoinOptions;
  readonly #leaving = new AbortController();
  readonly #over: AbortSignal;
  readonly #pending = new Map<string, Pending>();
  readonly #remembered = new Map<string, Promise<ChatMessage>>();
  readonly #unread = new Mailbox<ChatMessage>();
  readonly #backoff = new Backoff();
  readonly #end: Promise<void>;
  #taken = () => {};
  #line: Mailbox<ChatInit> | undefined;
  #sequence: bigint;
  #closing = false;
  #failure: ConnectError | undefined;

  constructor(client: ChattingClient, name: string, options: JoinOptions) {
    const { signal } = options;
    this.name = name;
    this.#client = client;
    this.#options = options;
    this.#sequence = BigInt(options.afterSequence ?? 0);
    this.#over = signal === undefined ? this.#leaving.signal : AbortSignal.any([signal, this.#leaving.signal]);
    this.#over.addEventListener("abort", () => this.#taken());
    this.#end = this.#stay();
  }

  /** The sequence of the last text that has come. */
  get sequence(): bigint {
    return this.#sequence;
  }

  /**
   * Posts a text, now or when the room has been joined again, once however often that happens. Resolves when it has
   * come back, with its sequence and time; unless the room is one of those who only post, somebody must iterate for
   * that. Texts are posted in the order of these calls.
   *
   * @throws ConnectError if the room is left before that, or joining it fails for good.
   */
  send(text: string, { clientMessageId: givenId }: PostOptions = {}): Promise<ChatMessage> {
    if (this.#closing || this.#over.aborted) return Promise.reject(this.#failure ?? left());
    const known = givenId === undefined ? undefined : this.#remembered.get(givenId);
    if (known !== undefined) return known;
    const clientMessageId = givenId ?? randomUUID();
    const message = { ...this.#said(ChatMessageType.TEXT), message: text, clientMessageId };
    const posted = Promise.withResolvers<ChatMessage>();
    this.#pending.set(clientMessageId, { message, posted });
    if (givenId !== undefined) this.#remember(givenId, posted.promise);
    this.#line?.send(message);
    return posted.promise;
  }

  /** Leaves when every text has come back. What has come and is not read yet can still be read. */
  async close(): Promise<void> {
    this.#closing = true;
    // What has been posted comes back after the half-close, too. Between two calls there is nothing to wait for but
    // that.
    if (this.#line !== undefined) this.#line.end();
    else if (this.#pending.size === 0) this.#leaving.abort();
    // Who closes does not wait for readers.
    this.#taken();
    await this.#end;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** What happens in the room. To be iterated over once; leaving the loop leaves the room at once. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ChatMessage> {
    try {
      for await (const message of this.#unread) {
        this.#taken();
        yield message;
      }
      if (this.#failure !== undefined) throw this.#failure;
    } finally {
      this.#leaving.abort();
    }
  }

  async #stay(): Promise<void> {
    try {
      for (let isOver = false; !isOver; ) {
        this.#over.throwIfAborted();
        try {
          isOver = await this.#call();
        } catch (reason) {
          await this.#recover(ConnectError.from(reason));
        }
      }
    } catch (reason) {
      if (!this.#leaving.signal.aborted) this.#failure = ConnectError.from(reason, Code.Canceled);
    }
    const lost = this.#failure ?? (this.#over.aborted ? left() : postedBefore());
    this.#leaving.abort();
    this.#unread.end();
    for (const { posted } of this.#pending.values()) posted.reject(lost);
  }

  /**
   * Joins, posts what has not come back, and listens to the end of the call. Returns whether that is what `close` has
   * asked for.
   */
  async #call(): Promise<boolean> {
    const line = new Mailbox<ChatInit>();
    line.send({ ...this.#said(ChatMessageType.JOIN), afterSequence: this.#sequence });
    for (const { message } of this.#pending.values()) line.send(message);
    if (this.#closing) line.end();
    this.#line = line;
    const { headers } = this.#options;
    const options = { signal: this.#over, timeoutMs: 0, ...(headers && { headers }) };
    try {
      for await (const message of this.#client.chat(line, options)) {
        this.#backoff.reset();
        if (this.#hasForgotten(message)) return false;
        if (this.#isNews(message)) await this.#hand(message);
      }
      if (!this.#closing) throw new ConnectError("the chat was ended", Code.Unavailable);
      return true;
    } finally {
      this.#line = undefined;
      line.end();
    }
  }

  /** Whether the room has begun anew, as it does where it is kept in memory. Then it is joined from the beginning. */
  #hasForgotten({ type, sequence }: ChatMessage): boolean {
    const forgotten = type === ChatMessageType.JOINED && sequence < this.#sequence;
    if (forgotten) this.#sequence = 0n;
    return forgotten;
  }

  #isNews(message: ChatMessage): boolean {
    const { type, sequence, clientMessageId } = message;
    if (type === ChatMessageType.GAP && sequence > this.#sequence) this.#sequence = sequence;
    if (type !== ChatMessageType.TEXT) return true;
    if (sequence <= this.#sequence) return false;
    this.#sequence = sequence;
    this.#pending.get(clientMessageId)?.posted.resolve(message);
    this.#pending.delete(clientMessageId);
    return true;
  }

  async #hand(message: ChatMessage): Promise<void> {
    if (this.#options.postOnly === true) return;
    this.#unread.send(message);
    while (this.#unread.size >= MAX_UNREAD && !this.#closing && !this.#over.aborted) {
      await new Promise<void>((resolve) => {
        this.#taken = resolve;
      });
    }
  }

  async #recover(error: ConnectError): Promise<void> {
    if (this.#over.aborted || !isPassing(error)) throw error;
    this.#options.onInterrupted?.(error);
    if (this.#closing && this.#pending.size === 0) this.#leaving.abort();
    await this.#backoff.pause(error, this.#over);
  }

  #remember(id: string, posted: Promise<ChatMessage>): void {
    this.#remembered.set(id, posted);
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size > MAX_REMEMBERED && oldest !== undefined) this.#remembered.delete(oldest);
  }

  #said(type: ChatMessageType) {
    return { type, room: this.name, userId: this.#options.userId ?? "" };
  }
}

function left(): ConnectError {
  return new ConnectError("the room was left", Code.Canceled);
}

function postedBefore(): ConnectError {
  return new ConnectError("a text with this id was posted before", Code.AlreadyExists);
}

/**
 * Joins a room of the chat: `await using room = joinRoom(client, "lobby")`, and then `room.send("hello")` and
 * `for await (const message of room)`. When a call breaks off, the room is joined again, on any replica: no text is
 * missed, repeated, or posted twice.
 */
export function joinRoom(client: ChattingClient, name: string, options: JoinOptions = {}): Room {
  return new Room(client, name, options);
}
