import type { MessageInitShape } from "@bufbuild/protobuf";
import { type CallOptions, ConnectError } from "@connectrpc/connect";
import { type ChatMessage, type ChatMessageSchema, ChatMessageType } from "../../src/gen/user/v1/user_service_pb.ts";
import { type Failure, toFailure } from "../support/errors.ts";
import type { UserClient } from "./users.ts";

export const { TEXT, JOIN, JOINED, LEAVE, LEFT, MEMBER_JOINED, MEMBER_LEFT, GAP } = ChatMessageType;

export type ChatInit = MessageInitShape<typeof ChatMessageSchema>;

/** The call of somebody who talks in rooms. What it tells is heard at once. */
export class Member {
  /** All that the call has told so far. */
  readonly messages: ChatMessage[] = [];
  /** How the call ended; undefined for OK. */
  readonly end: Promise<Failure | undefined>;
  /** What the call has failed with. */
  error: ConnectError | undefined;
  readonly #outbox: ChatInit[] = [];
  readonly #calling = new AbortController();
  readonly #waiting = new Set<() => void>();
  #finished = false;
  #ended = false;

  constructor(client: UserClient, options: CallOptions = {}) {
    this.end = this.#listen(client.chat(this.#say(), { ...options, signal: this.#calling.signal }));
  }

  /** Sends messages. */
  say(...messages: ChatInit[]): void {
    this.#outbox.push(...messages);
    this.#wake();
  }

  /** Posts a text. */
  post(room: string, message: string, clientMessageId = ""): void {
    this.say({ room, message, clientMessageId, type: TEXT });
  }

  /** Joins a room, and returns what says so. */
  async join(room: string, after = 0): Promise<ChatMessage> {
    const before = this.#count(JOINED, room);
    this.say({ room, type: JOIN, afterSequence: BigInt(after) });
    return this.until((message) => message.type === JOINED && message.room === room, before + 1);
  }

  /** Leaves a room, and returns what says so. */
  async leave(room: string): Promise<ChatMessage> {
    const before = this.#count(LEFT, room);
    this.say({ room, type: LEAVE });
    return this.until((message) => message.type === LEFT && message.room === room, before + 1);
  }

  /** Half-closes the call, and waits for its end. */
  finish(): Promise<Failure | undefined> {
    this.#finished = true;
    this.#wake();
    return this.end;
  }

  /** Cancels the call. */
  cut(): void {
    this.#calling.abort();
  }

  /** Waits for the nth message of a kind; fails if the call ends before. */
  async until(isIt: (message: ChatMessage) => boolean, count = 1): Promise<ChatMessage> {
    for (;;) {
      const found = this.messages.filter(isIt)[count - 1];
      if (found !== undefined) return found;
      if (this.#ended) throw new Error(`the call has ended: ${JSON.stringify(await this.end)}; ${this.heard}`);
      await this.#next();
    }
  }

  /** Waits until this has been heard, in the words of `heard`. */
  async hears(words: string): Promise<ChatMessage> {
    return this.until((message) => wordsOf(message) === words);
  }

  /** All that has been heard, in words. */
  get heard(): string[] {
    return this.messages.map(wordsOf);
  }

  /** What the texts of a room say that have been heard, each after its sequence. */
  textsIn(room: string): string[] {
    return this.messages.filter((message) => message.type === TEXT && message.room === room).map(wordsOf);
  }

  /** Waits until these, and nobody else, are in a room as far as has been told. What is told must fit: who comes was not there. */
  async sees(room: string, ...ids: string[]): Promise<void> {
    const isWanted = (members: readonly string[]) =>
      members.length === ids.length && ids.every((id) => members.includes(id));
    await this.until(() => isWanted(this.#membersOf(room)));
  }

  #membersOf(room: string): string[] {
    let members: string[] = [];
    for (const { type, userId, memberIds } of this.messages.filter((message) => message.room === room)) {
      if (type === JOINED) members = [...memberIds];
      else if (type === MEMBER_JOINED) members.push(userId);
      else if (type === MEMBER_LEFT) members.splice(indexOf(members, userId), 1);
      if (new Set(members).size < members.length) throw new Error(`somebody is there twice: ${members}`);
    }
    return members;
  }

  #count(type: ChatMessageType, room: string): number {
    return this.messages.filter((message) => message.type === type && message.room === room).length;
  }

  async *#say(): AsyncGenerator<ChatInit> {
    for (;;) {
      yield* this.#outbox.splice(0);
      if (this.#outbox.length > 0) continue;
      if (this.#finished || this.#ended) return;
      await this.#next();
    }
  }

  async #listen(told: AsyncIterable<ChatMessage>): Promise<Failure | undefined> {
    try {
      for await (const message of told) {
        this.messages.push(message);
        this.#wake();
      }
      return undefined;
    } catch (error) {
      this.error = ConnectError.from(error);
      return toFailure(this.error);
    } finally {
      this.#ended = true;
      this.#wake();
    }
  }

  #next(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}

function indexOf(members: readonly string[], id: string): number {
  const index = members.indexOf(id);
  if (index === -1) throw new Error(`${id} goes, and was not there`);
  return index;
}

/** A message in words. */
export function wordsOf({ type, sequence, userId, message }: ChatMessage): string {
  switch (type) {
    case TEXT:
      return `${sequence} ${userId}: ${message}`;
    case JOINED:
      return `joined at ${sequence}`;
    case LEFT:
      return `left at ${sequence}`;
    case MEMBER_JOINED:
      return `${userId} comes`;
    case MEMBER_LEFT:
      return `${userId} goes`;
    case GAP:
      return `gap up to ${sequence}`;
    default:
      return `${userId}: ${message}`;
  }
}
