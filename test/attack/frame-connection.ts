import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { onTestFinished } from "vitest";
import {
  ERROR_CODES,
  type ErrorCode,
  FLAG,
  frameOf,
  PREFACE,
  settings,
  settingsAck,
  TYPE,
} from "../support/http2-frames.ts";

export interface FrameConnectionOptions {
  /** Whether it reads what the server says; true unless told. What is not read, fills the buffers of the system. */
  readonly reads?: boolean;
  /** The certificate authority of the server, in PEM, if it speaks TLS. */
  readonly ca?: string;
  /** Is told how to destroy it; the end of the test unless told. */
  readonly atEnd?: (destroy: () => void) => void;
}

/** Opens a connection that has sent nothing yet. It is destroyed at the end of the test. */
export async function openConnection(port: number, options: FrameConnectionOptions = {}): Promise<FrameConnection> {
  const { reads = true, ca, atEnd = onTestFinished } = options;
  const secure = ca !== undefined;
  const socket = secure
    ? connectTls({ host: "127.0.0.1", port, ca, servername: "localhost", ALPNProtocols: ["h2"] })
    : connect({ host: "127.0.0.1", port, noDelay: true });
  atEnd(() => void socket.destroy());
  await once(socket, secure ? "secureConnect" : "connect");
  return new FrameConnection(socket, reads);
}

/** Opens a connection, and greets the server as HTTP/2 wants it. */
export async function openSession(port: number, options?: FrameConnectionOptions): Promise<FrameConnection> {
  const connection = await openConnection(port, options);
  await connection.write(Buffer.concat([PREFACE, settings(), settingsAck()]));
  return connection;
}

/** One end of an HTTP/2 connection, which says what it is told to, and notes what it hears. */
export class FrameConnection {
  readonly socket: Socket;
  /** When the server closed it, in milliseconds since it was opened; undefined as long as it is open. */
  closedAfterMs: number | undefined;
  /** Fulfilled when the server has closed it, which a connection that does not read learns late. */
  readonly closed: Promise<void>;
  /** The codes of the GOAWAY frames received. */
  readonly goaways: ErrorCode[] = [];
  /** How many frames of each type were received. */
  readonly received = new Map<number, number>();
  /** How many streams the server has reset, by code. */
  readonly resets = new Map<ErrorCode, number>();
  /** How many streams the server has ended, well or not. */
  endedStreams = 0;
  readonly #since = performance.now();
  #pending: Buffer = Buffer.alloc(0);

  constructor(socket: Socket, reads: boolean) {
    this.socket = socket;
    // A broken connection shows at its end.
    socket.on("error", () => {});
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.closedAfterMs = performance.now() - this.#since;
        resolve();
      });
    });
    if (reads) socket.on("data", (bytes: Buffer) => this.#onBytes(bytes));
  }

  get isOpen(): boolean {
    return this.closedAfterMs === undefined && !this.socket.destroyed;
  }

  /** Sends bytes. Waits until the system has taken them, or the connection is closed, or `patience` is at an end. */
  async write(bytes: Uint8Array, patienceMs = 1000): Promise<void> {
    if (!this.isOpen || this.socket.write(bytes)) return;
    const patience = AbortSignal.timeout(Math.ceil(patienceMs));
    await Promise.race([once(this.socket, "drain", { signal: patience }).catch(() => {}), this.closed]);
  }

  /** Waits until more is heard, or the connection is closed. */
  async heard(): Promise<void> {
    await Promise.race([once(this.socket, "data"), this.closed]);
  }

  /** How the server has ended it. */
  get ending(): string {
    const goaway = this.goaways.length === 0 ? "" : `GOAWAY ${[...new Set(this.goaways)].join(" ")}, `;
    return `${goaway}${this.isOpen ? "open" : "closed"}`;
  }

  #onBytes(bytes: Buffer): void {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    while (this.#pending.length >= 9) {
      const end = 9 + this.#pending.readUIntBE(0, 3);
      if (this.#pending.length < end) return;
      this.#onFrame(this.#pending.readUInt8(3), this.#pending.readUInt8(4), this.#pending.subarray(9, end));
      this.#pending = this.#pending.subarray(end);
    }
  }

  #onFrame(type: number, flags: number, payload: Buffer): void {
    count(this.received, type);
    const endsStream = (type === TYPE.HEADERS || type === TYPE.DATA) && (flags & FLAG.END_STREAM) !== 0;
    if (endsStream || type === TYPE.RST_STREAM) this.endedStreams++;
    // Who is there, answers.
    if (type === TYPE.PING && (flags & FLAG.ACK) === 0) void this.write(frameOf(TYPE.PING, FLAG.ACK, 0, payload));
    if (type === TYPE.GOAWAY) this.goaways.push(codeAt(payload, 4));
    if (type === TYPE.RST_STREAM) count(this.resets, codeAt(payload, 0));
  }
}

function codeAt(payload: Buffer, offset: number): ErrorCode {
  return ERROR_CODES[payload.readUInt32BE(offset)] ?? "NO_ERROR";
}

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
