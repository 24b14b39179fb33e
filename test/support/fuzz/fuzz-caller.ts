import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from "node:http2";
import { status } from "@grpc/grpc-js";
import { pathOf } from "../../../src/contract/path.ts";
import type { FuzzCase } from "./fuzz-case.ts";

/** What a call came to. */
export interface Outcome {
  /** The name of its status code; or what happened instead of a status. */
  readonly code: string;
  /** Whether its status came with details. */
  readonly detailed: boolean;
}

/** Streams that only a deadline ends, if the request is in order. */
const ENDLESS: ReadonlySet<string> = new Set(["WatchUsers", "Watch"]);

/** Makes calls on one connection, and gets a new one if it is closed. */
export class FuzzCaller {
  readonly #port: number;
  readonly #token: string;
  #session: ClientHttp2Session | undefined;

  constructor(port: number, token: string) {
    this.#port = port;
    this.#token = token;
  }

  async call(made: FuzzCase): Promise<Outcome> {
    const stream = this.#begin(made);
    let answer: IncomingHttpHeaders = {};
    stream.on("response", (received) => Object.assign(answer, received));
    stream.on("trailers", (received) => {
      answer = { ...answer, ...received };
    });
    stream.end();
    await Promise.race([closed(stream), timeOut()]);
    const code = answer["grpc-status"];
    const detailed = answer["grpc-status-details-bin"] !== undefined;
    if (code !== undefined) return { code: status[Number(code)] ?? String(code), detailed };
    return { code: stream.closed ? `reset with ${stream.rstCode}` : "hangs", detailed };
  }

  /** Begins a call that never ends its request. */
  leaveOpen(made: FuzzCase): void {
    this.#begin(made);
  }

  /** Gives up what is under way. */
  close(): void {
    this.#session?.destroy();
  }

  #begin({ method, headers, writes }: FuzzCase): ClientHttp2Stream {
    const stream = this.#connected().request({
      ":method": "POST",
      ":path": pathOf(method),
      "content-type": "application/grpc",
      te: "trailers",
      authorization: `Bearer ${this.#token}`,
      "grpc-timeout": ENDLESS.has(method.name) ? "100m" : "10S",
      ...headers,
    });
    stream.on("error", () => {});
    stream.resume();
    for (const bytes of writes) stream.write(bytes);
    return stream;
  }

  #connected(): ClientHttp2Session {
    if (this.#session === undefined || this.#session.destroyed || this.#session.closed) {
      this.#session = connect(`http://127.0.0.1:${this.#port}`, { maxSessionMemory: 1000 });
      this.#session.on("error", () => {});
    }
    return this.#session;
  }
}

/** Also if it breaks. */
function closed(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => stream.once("close", resolve));
}

/** Twice the deadline of the calls. */
function timeOut(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20_000).unref());
}
