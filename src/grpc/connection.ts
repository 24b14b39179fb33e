import { Buffer } from "node:buffer";
import { constants, type Http2Session } from "node:http2";
import type { Socket } from "node:net";
import { addressGroup } from "./address-group.ts";
import { InstantCancels } from "./instant-cancels.ts";
import { jittered } from "./jittered.ts";

const MINUTE_MS = 60_000;

/**
 * A PING is free if the server has sent this much since the last: more than answers to PINGs, so a call moved. See gRFC
 * A8.
 */
const MORE_THAN_ANSWERS = 64;

/** What a guard knows of a connection. Times are those of performance.now. */
export class Connection {
  readonly socket: Socket;
  /** Where its peer is; see addressGroup. */
  readonly address: string;
  readonly openedAt: number;
  /** When it is to be told to go. */
  readonly retireAt: number;
  /** Undefined until the first call has begun. */
  session: Http2Session | undefined;
  openCalls = 0;
  readonly instantCancels = new InstantCancels();
  /** Whether a call has begun or ended since the last look. */
  used = false;
  usedAt: number;
  /** When the peer was told to go; undefined if it was not. */
  retiredAt: number | undefined;
  /** When the connection was closed; undefined if it was not. */
  closedAt: number | undefined;
  pingedAt: number;
  /** Whether the peer has answered the last PING. */
  answered = true;
  #calls = 0;
  #bytesRead = 0;
  #bytesWritten = 0;
  #controlFrames = 0;
  #minuteStart: number;

  /** An age of zero is none. */
  constructor(socket: Socket, now: number, maxAgeMs: number) {
    this.socket = socket;
    this.address = addressGroup(socket.remoteAddress ?? "");
    this.openedAt = now;
    this.retireAt = maxAgeMs === 0 ? Number.POSITIVE_INFINITY : now + jittered(maxAgeMs);
    this.usedAt = now;
    this.pingedAt = now;
    this.#minuteStart = now;
  }

  /** Notes that a call has begun. */
  begin(): void {
    this.openCalls++;
    this.#calls++;
    this.used = true;
  }

  /** How many calls have begun since this was asked last. */
  takeCalls(): number {
    const calls = this.#calls;
    this.#calls = 0;
    return calls;
  }

  /** How many bytes have arrived since this was asked last. */
  takeBytesRead(): number {
    const { bytesRead } = this.socket;
    const arrived = bytesRead - this.#bytesRead;
    this.#bytesRead = bytesRead;
    return arrived;
  }

  /** Whether the server has sent more than answers to PINGs since this was asked last. */
  takeMoved(): boolean {
    const { bytesWritten } = this.socket;
    const moved = bytesWritten - this.#bytesWritten > MORE_THAN_ANSWERS;
    this.#bytesWritten = bytesWritten;
    return moved;
  }

  /** Counts a frame that asks for an answer and moves no call, and returns how many there were in this minute. */
  countControlFrame(): number {
    const now = performance.now();
    if (now - this.#minuteStart >= MINUTE_MS) {
      this.#minuteStart = now;
      this.#controlFrames = 0;
    }
    this.#controlFrames++;
    return this.#controlFrames;
  }

  /**
   * Tells the peer to make its next calls elsewhere. Its open calls go on, and so do PINGs, which a closed session
   * sends no more.
   */
  retire(why: string, now: number): void {
    this.retiredAt = now;
    this.goAway(constants.NGHTTP2_NO_ERROR, why);
  }

  /** Sends a GOAWAY. Calls that the peer has sent meanwhile are not begun, which the frame tells it. */
  goAway(code: number, why: string): void {
    // 0 stands for the last call that has begun.
    if (this.session?.destroyed === false) this.session.goaway(code, 0, Buffer.from(why));
  }
}

/** What a connection is known by, to us and inside node:http2, whatever wraps its socket. */
export function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
