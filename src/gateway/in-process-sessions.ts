import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { Duplex } from "node:stream";
import { received } from "./received.ts";

/** Nothing resolves it: no connection leaves the process. */
const AUTHORITY = "http://in-process";

/**
 * Node closes a connection, and breaks its calls, when about a thousand of them were reset in one go; see
 * docs/operations.md. Here the calls of many callers share a connection, and a reset is a caller who has gone: no
 * number of these may end the calls of others. So a connection is given up after half of that, with so few calls open
 * that all of them may be reset as well.
 */
const MAX_RESETS = 450;

/** What is known of a connection. */
interface Load {
  streams: number;
  resets: number;
}

/** The HTTP/2 connections to the server of this process, as connect-node's transports use them. */
export class InProcessSessions {
  readonly authority = AUTHORITY;
  readonly #connect: () => Duplex;
  readonly #maxStreams: number;
  readonly #sessions = new Map<ClientHttp2Session, Load>();
  #closed = false;

  /**
   * `connect` opens a connection, over which the server allows `maxStreams` calls at a time: calls beyond that, or
   * beyond what is safe, get another.
   */
  constructor(connect: () => Duplex, maxStreams: number) {
    this.#connect = connect;
    this.#maxStreams = Math.min(maxStreams, MAX_RESETS);
  }

  /** Opens a stream. See NodeHttp2ClientSessionManager of connect-node. */
  async request(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    options: Parameters<ClientHttp2Session["request"]>[1],
  ): Promise<ClientHttp2Stream> {
    const [session, load] = this.#withRoom();
    const stream = session.request({ ...headers, ":method": method, ":path": path }, options);
    // Within a process, an answer may be complete before anybody can have asked for it.
    Object.defineProperty(stream, Symbol.asyncIterator, { value: () => received(stream) });
    load.streams++;
    // Who was answered before the request was sent, refused most often, would keep what is left of it for ever:
    // connect-node leaves such a stream half-open. Small requests are sent by the next turn.
    stream.once("end", () => setImmediate(() => this.#finish(stream, load)));
    stream.once("close", () => {
      load.streams--;
      if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) load.resets++;
      // Calls that are open go on.
      if (load.resets >= MAX_RESETS) session.close();
    });
    return stream;
  }

  /** Called for bytes that came from the server, which is no news here: nothing is between. */
  notifyResponseByteRead(): void {}

  /** Closes the connections as soon as their calls have ended. */
  close(): void {
    this.#closed = true;
    for (const session of this.#sessions.keys()) session.close();
  }

  #finish(stream: ClientHttp2Stream, load: Load): void {
    if (stream.writableEnded || stream.closed) return;
    // Not an error, of which connect-node would tell, but a reset like others.
    stream.close(constants.NGHTTP2_NO_ERROR);
    load.resets++;
  }

  #withRoom(): [ClientHttp2Session, Load] {
    if (this.#closed) throw new Error("the gateway is closed");
    for (const entry of this.#sessions) {
      const [session, { streams }] = entry;
      if (streams < this.#maxStreams && !session.closed) return entry;
    }
    return this.#open();
  }

  #open(): [ClientHttp2Session, Load] {
    const session = connect(AUTHORITY, {
      createConnection: this.#connect,
      // Calls share it: large requests of some must not end those of others. The server has no limit either.
      maxSessionMemory: Number.MAX_SAFE_INTEGER,
    });
    const load = { streams: 0, resets: 0 };
    this.#sessions.set(session, load);
    // What happens to a connection, its calls are told.
    session.on("error", () => {});
    session.once("close", () => this.#sessions.delete(session));
    return [session, load];
  }
}
