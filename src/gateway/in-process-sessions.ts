import { type ClientHttp2Session, type ClientHttp2Stream, connect, type OutgoingHttpHeaders } from "node:http2";
import type { Duplex } from "node:stream";

/** Nothing resolves it: no connection leaves the process. */
const AUTHORITY = "http://in-process";

/** The HTTP/2 connections to the server of this process, as connect-node's transports use them. */
export class InProcessSessions {
  readonly authority = AUTHORITY;
  readonly #connect: () => Duplex;
  readonly #maxStreams: number;
  readonly #sessions = new Map<ClientHttp2Session, { streams: number }>();
  #closed = false;

  /**
   * `connect` opens a connection, over which the server allows `maxStreams` calls at a time: further calls get connections of
   * their own.
   */
  constructor(connect: () => Duplex, maxStreams: number) {
    this.#connect = connect;
    this.#maxStreams = maxStreams;
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
    load.streams++;
    stream.once("close", () => load.streams--);
    return stream;
  }

  /** Called for bytes that came from the server, which is no news here: nothing is between. */
  notifyResponseByteRead(): void {}

  /** Closes the connections as soon as their calls have ended. */
  close(): void {
    this.#closed = true;
    for (const session of this.#sessions.keys()) session.close();
  }

  #withRoom(): [ClientHttp2Session, { streams: number }] {
    if (this.#closed) throw new Error("the gateway is closed");
    for (const entry of this.#sessions) {
      const [session, { streams }] = entry;
      if (streams < this.#maxStreams && !session.closed) return entry;
    }
    return this.#open();
  }

  #open(): [ClientHttp2Session, { streams: number }] {
    const session = connect(AUTHORITY, { createConnection: this.#connect });
    const load = { streams: 0 };
    this.#sessions.set(session, load);
    // What happens to a connection, its calls are told.
    session.on("error", () => {});
    session.once("close", () => this.#sessions.delete(session));
    return [session, load];
  }
}
