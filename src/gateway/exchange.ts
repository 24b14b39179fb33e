import type { IncomingMessage, ServerResponse } from "node:http";
import { Code, ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { REQUEST_ID, TRACEPARENT } from "../contract/headers.ts";
import { blameRequest, checkQuery } from "./bad-input.ts";

/** What is known of a request that has not become a call: the server, which logs calls, has not seen it. */
export interface RefusedRequest {
  /** The path of the method, such as `/user.v1.UserService/GetUser`; empty if there is no such method. */
  readonly path: string;
  /** The number of a gRPC status. */
  readonly code: number;
  /** Milliseconds from the arrival of the headers to the end. */
  readonly durationMs: number;
  readonly requestId: string;
  /** The header of this name, as it was sent. */
  readonly traceparent: unknown;
}

/** What becomes of requests that are refused. */
export interface Refusals {
  /** The id of a request: the one that its client has sent, if that can be one. */
  toRequestId(sent: unknown): string;
  /** Is told of each request that was refused, once, when it is over. */
  onRefused(refused: RefusedRequest): void;
}

/** A request and its answer. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Whether it has become a call of the server. */
  isCall = false;
  readonly #path: string;
  readonly #refusals: Refusals;
  readonly #start = performance.now();
  #refused: { readonly code: Code; readonly requestId: string } | undefined;

  /** `path` is that of the method; empty if there is none. */
  constructor(request: IncomingMessage, response: ServerResponse, path: string, refusals: Refusals) {
    this.request = request;
    this.response = response;
    this.#path = path;
    this.#refusals = refusals;
  }

  /** The address that the request came from, as the socket states it. */
  get caller(): string {
    return this.request.socket.remoteAddress ?? "";
  }

  /** Looks at a request of a known method before its body is read. */
  begin(context: HandlerContext): void {
    const { signal } = context;
    const { reason } = signal;
    if (reason instanceof ConnectError) this.refuse(reason.code);
    signal.throwIfAborted();
    // Connect's handlers abort it with the error first, and answer with the error then.
    signal.addEventListener("abort", () => this.#onAborted(context));
    checkQuery(context);
  }

  #onAborted(context: HandlerContext): void {
    if (this.isCall) return;
    const { reason } = context.signal;
    blameRequest(reason, context);
    this.refuse(reason instanceof ConnectError ? reason.code : Code.Internal);
  }

  /** Notes that the request is refused, unless it was before, and tells the client its id. */
  refuse(code: Code): void {
    if (this.isCall || this.#refused !== undefined) return;
    const requestId = this.#refusals.toRequestId(this.request.headers[REQUEST_ID]);
    this.#refused = { code, requestId };
    if (!this.response.headersSent) this.response.setHeader(REQUEST_ID, requestId);
  }

  /** Tells of a request that was refused. To be called when it is over. */
  end(): void {
    // The client has gone before it was answered.
    const isLeft = !this.response.writableEnded;
    if (isLeft) this.refuse(Code.Canceled);
    if (this.#refused === undefined) return;
    const { code, requestId } = this.#refused;
    this.#refusals.onRefused({
      path: this.#path,
      code: isLeft ? Code.Canceled : code,
      durationMs: performance.now() - this.#start,
      requestId,
      traceparent: this.request.headers[TRACEPARENT],
    });
  }
}

/** By which handlers know the exchange that they are a part of. */
export const exchangeOf = createContextKey<Exchange | undefined>(undefined);
