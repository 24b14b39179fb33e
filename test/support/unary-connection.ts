import { connect, type Socket } from "node:net";
import type { RepeatedHeaders } from "./hpack.ts";
import {
  data,
  FLAG,
  frameOf,
  headers,
  PREFACE,
  resetStream,
  settings,
  settingsAck,
  TYPE,
  windowUpdate,
} from "./http2-frames.ts";

const FRAME_HEAD_BYTES = 9;
const MAX_CONCURRENT_STREAMS = 3;
const MAX_WINDOW = 2 ** 31 - 1;
const DEFAULT_WINDOW = 65_535;

/** How a call ended: with an answer, with a status alone, or never. */
export type Outcome = "answered" | "refused" | "broken";

/** What a connection makes, and who is told of it. */
export interface UnaryCalls {
  readonly port: number;
  readonly headers: RepeatedHeaders;
  readonly body: Buffer;
  /** Is told how each call ended. */
  onEnd(startedAt: number, outcome: Outcome): void;
}

interface OpenCall {
  readonly startedAt: number;
  answered: boolean;
}

/**
 * An HTTP/2 connection that makes one and the same unary call over and over, for a tenth of what a whole client costs: it knows
 * just the frames it needs, and takes a call for answered if its answer holds data. It keeps to the number of streams that the
 * server allows and to the server's window.
 */
export class UnaryConnection {
  readonly #calls: UnaryCalls;
  readonly #socket: Socket;
  /** In the order of their start. */
  readonly #open = new Map<number, OpenCall>();
  #outgoing: Buffer[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #nextStream = 1;
  #maxStreams = 100;
  #window = DEFAULT_WINDOW;
  /** Whether the server has said what it allows. Clients of gRPC wait for that. */
  isReady = false;
  /** Whether the server wants further calls to be made elsewhere, or there is no server. */
  isLeaving = false;

  constructor(calls: UnaryCalls) {
    this.#calls = calls;
    this.#socket = connect(calls.port, "127.0.0.1");
    this.#socket.setNoDelay(true);
    this.#socket.on("data", (bytes) => this.#receive(bytes));
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => this.#gone());
    this.#socket.write(Buffer.concat([PREFACE, settings(), windowUpdate(0, MAX_WINDOW - DEFAULT_WINDOW)]));
  }

  /** Whether another call may start. */
  get hasRoom(): boolean {
    return (
      this.isReady &&
      !this.isLeaving &&
      this.#open.size < this.#maxStreams &&
      this.#window >= this.#calls.body.length &&
      !this.#socket.writableNeedDrain
    );
  }

  /** Whether no call is open. */
  get isIdle(): boolean {
    return this.#open.size === 0;
  }

  /** Starts a call, once it is flushed. */
  call(startedAt: number): void {
    const stream = this.#nextStream;
    const { headers: block, body } = this.#calls;
    this.#nextStream += 2;
    this.#window -= body.length;
    this.#open.set(stream, { startedAt, answered: false });
    this.#outgoing.push(headers(stream, stream === 1 ? block.first : block.later), data(stream, body, FLAG.END_STREAM));
  }

  /** Cancels the calls that started before a time, as clients do when a deadline passes. */
  cancelBefore(time: number): void {
    for (const [stream, { startedAt }] of this.#open) {
      if (startedAt >= time) return;
      this.#outgoing.push(resetStream(stream));
      this.#end(stream, "broken");
    }
  }

  flush(): void {
    if (this.#outgoing.length === 0) return;
    this.#socket.write(Buffer.concat(this.#outgoing));
    this.#outgoing = [];
  }

  close(): void {
    this.#socket.destroy();
  }

  #gone(): void {
    this.isLeaving = true;
    for (const stream of this.#open.keys()) this.#end(stream, "broken");
  }

  #receive(bytes: Buffer): void {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let at = 0;
    while (at + FRAME_HEAD_BYTES <= all.length) {
      const end = at + FRAME_HEAD_BYTES + all.readUIntBE(at, 3);
      if (end > all.length) break;
      this.#frame(all[at + 3] ?? 0, all[at + 4] ?? 0, all.readUInt32BE(at + 5), all, at + FRAME_HEAD_BYTES, end);
      at = end;
    }
    this.#rest = all.subarray(at);
  }

  #frame(type: number, flags: number, stream: number, bytes: Buffer, start: number, end: number): void {
    if (type === TYPE.DATA || type === TYPE.HEADERS) {
      const call = this.#open.get(stream);
      if (call === undefined) return;
      call.answered ||= type === TYPE.DATA && end > start;
      if ((flags & FLAG.END_STREAM) !== 0) this.#end(stream, call.answered ? "answered" : "refused");
    } else if (type === TYPE.RST_STREAM) {
      this.#end(stream, "broken");
    } else if (type === TYPE.WINDOW_UPDATE && stream === 0) {
      this.#window += bytes.readUInt32BE(start);
    } else if (type === TYPE.SETTINGS && (flags & FLAG.ACK) === 0) {
      for (let at = start; at < end; at += 6)
        if (bytes.readUInt16BE(at) === MAX_CONCURRENT_STREAMS) this.#maxStreams = bytes.readUInt32BE(at + 2);
      this.isReady = true;
      this.#outgoing.push(settingsAck());
    } else if (type === TYPE.PING && (flags & FLAG.ACK) === 0) {
      this.#outgoing.push(frameOf(TYPE.PING, FLAG.ACK, 0, bytes.subarray(start, end)));
    } else if (type === TYPE.GOAWAY) {
      this.isLeaving = true;
    }
  }

  #end(stream: number, outcome: Outcome): void {
    const call = this.#open.get(stream);
    if (call === undefined) return;
    this.#open.delete(stream);
    this.#calls.onEnd(call.startedAt, outcome);
  }
}
