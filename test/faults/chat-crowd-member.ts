import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { type ChatMessage, ChatMessageSchema, ChatMessageType } from "../../src/gen/user/v1/user_service_pb.ts";
import { frame, rawCall } from "./raw-call.ts";

/** The room in which all of them are. */
const ROOM = "crowd";

/** A flag, and the length of the message. */
const FRAME_HEAD = 5;

/** What the members of a crowd have been told in common. */
export interface Agreement {
  /** The ids of the texts, each at its sequence; none at 0. */
  readonly texts: string[];
  /** What no member must have been told, or in another way. */
  readonly faults: string[];
  /** Called for every text that is delivered. */
  onDelivered(): void;
}

/** Somebody who joins again, on any replica, whenever the call breaks, and loses nothing of what is said. */
export class CrowdMember {
  readonly name: string;
  /** The sequence of the last text. */
  last = 0;
  /** The texts, by their ids, that have not come back. */
  readonly unacknowledged = new Set<string>();
  /** How often the member has joined. */
  joins = 0;
  /** Where to join; undefined for nowhere as yet. */
  readonly #choosePort: () => number | undefined;
  readonly #agreement: Agreement;
  #session: ClientHttp2Session | undefined;
  #stream: ClientHttp2Stream | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #retry: NodeJS.Timeout | undefined;
  #leaving = false;

  constructor(name: string, choosePort: () => number | undefined, agreement: Agreement) {
    this.name = name;
    this.#choosePort = choosePort;
    this.#agreement = agreement;
  }

  /** Joins, and posts again what has not come back. */
  join(): void {
    const port = this.#choosePort();
    if (port === undefined) {
      this.#joinLater();
      return;
    }
    this.joins++;
    const session = connect(`http://127.0.0.1:${port}`);
    // A broken connection shows at the stream.
    session.on("error", () => {});
    const stream = rawCall(session, "/user.v1.UserService/Chat", {});
    this.#session = session;
    this.#stream = stream;
    this.#rest = Buffer.alloc(0);
    stream.on("data", (bytes: Buffer) => this.#hear(bytes));
    stream.once("close", () => {
      session.destroy();
      if (this.#stream === stream) this.#joinLater();
    });
    this.#say({ type: ChatMessageType.JOIN, afterSequence: BigInt(this.last) });
    for (const id of this.unacknowledged) this.#say({ message: id, clientMessageId: id });
  }

  /** Posts a text, now or when the member has joined again. */
  post(id: string): void {
    this.unacknowledged.add(id);
    this.#say({ message: id, clientMessageId: id });
  }

  /** Breaks the connection. */
  break(): void {
    this.#session?.destroy();
  }

  /** Ends for good. */
  leave(): void {
    this.#leaving = true;
    clearTimeout(this.#retry);
    this.#session?.destroy();
  }

  #joinLater(): void {
    this.#stream = undefined;
    if (!this.#leaving) this.#retry = setTimeout(() => this.join(), 50);
  }

  #say(message: MessageInitShape<typeof ChatMessageSchema>): void {
    if (this.#stream === undefined || this.#stream.destroyed || this.#stream.closed) return;
    this.#stream.write(frame(ChatMessageSchema, { room: ROOM, userId: this.name, ...message }));
  }

  #hear(bytes: Buffer): void {
    const frames = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let at = 0;
    while (at + FRAME_HEAD <= frames.length) {
      const end = at + FRAME_HEAD + frames.readUInt32BE(at + 1);
      if (end > frames.length) break;
      this.#take(fromBinary(ChatMessageSchema, frames.subarray(at + FRAME_HEAD, end)));
      at = end;
    }
    this.#rest = frames.subarray(at);
  }

  #take({ type, sequence, userId, message, clientMessageId }: ChatMessage): void {
    const { texts, faults } = this.#agreement;
    if (type === ChatMessageType.GAP) faults.push(`${this.name}: a gap up to ${sequence} after ${this.last}`);
    if (type !== ChatMessageType.TEXT) return;
    const place = Number(sequence);
    if (place !== this.last + 1) faults.push(`${this.name}: ${place} after ${this.last}`);
    this.last = place;
    texts[place] ??= message;
    if (texts[place] !== message)
      faults.push(`${this.name}: ${message} at ${place}, where others have ${texts[place]}`);
    if (userId !== message.split(" ")[0] || clientMessageId !== message)
      faults.push(`${this.name}: ${message} by ${userId}, known as ${clientMessageId}`);
    if (userId === this.name) this.unacknowledged.delete(message);
    this.#agreement.onDelivered();
  }
}

/** Joins the room of the crowd, and reads nothing. Returns what ends it. */
export function joinDeaf(port: number): () => void {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  const stream = rawCall(session, "/user.v1.UserService/Chat", {});
  stream.write(frame(ChatMessageSchema, { room: ROOM, userId: "deaf", type: ChatMessageType.JOIN }));
  return () => session.destroy();
}
