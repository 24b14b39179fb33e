import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { type ContextValues, createContextValues, type HandlerContext } from "@connectrpc/connect";
import { Metadata } from "@grpc/grpc-js";
import { principalKey, requestIdKey } from "../service/call-values.ts";
import { recordOf } from "./call-record.ts";
import { CallCancelledError, DeadlineExceededError } from "./errors.ts";
import { isExpired } from "./expiry.ts";

/** The part of a grpc-js call that all four shapes share. */
export interface AnyCall {
  readonly metadata: Metadata;
  readonly cancelled: boolean;
  getDeadline(): Date | number;
  getHost(): string;
  getPath(): string;
  sendMetadata(metadata: Metadata): void;
  once(event: "cancelled", listener: () => void): unknown;
}

/**
 * What a handler knows of its call, read from grpc-js. Headers, trailers, values and the signal are made when they are
 * first asked for, because most calls ask for none of them.
 */
export class CallContext implements HandlerContext {
  readonly method: DescMethod;
  readonly protocolName = "grpc";
  readonly requestMethod = "POST";
  readonly #call: AnyCall;
  #controller: AbortController | undefined;
  #abortReason: Error | undefined;
  #requestHeader: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;
  #values: ContextValues | undefined;

  constructor(method: DescMethod, call: AnyCall) {
    this.method = method;
    this.#call = call;
  }

  get service(): DescService {
    return this.method.parent;
  }

  get url(): string {
    return `http://${this.#call.getHost()}${this.#call.getPath()}`;
  }

  get requestHeader(): Headers {
    this.#requestHeader ??= toHeaders(this.#call.metadata);
    return this.#requestHeader;
  }

  get responseHeader(): Headers {
    this.#responseHeader ??= new Headers();
    return this.#responseHeader;
  }

  get responseTrailer(): Headers {
    this.#responseTrailer ??= new Headers();
    return this.#responseTrailer;
  }

  get values(): ContextValues {
    if (this.#values === undefined) {
      const { principal, requestId } = recordOf(this.#call.metadata);
      this.#values = createContextValues().set(principalKey, principal).set(requestIdKey, requestId);
    }
    return this.#values;
  }

  /**
   * Aborted when the call ends, however it ends. The reason is a DeadlineExceededError if its time ran out, a
   * ServerStoppingError if the server stops, and a CallCancelledError otherwise.
   */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController();
      this.#controller = controller;
      // grpc-js says "cancelled" at the end of every call, also of one that succeeded.
      if (this.endReason === undefined) this.#call.once("cancelled", () => controller.abort(this.endReason));
      else controller.abort(this.endReason);
    }
    return this.#controller.signal;
  }

  timeoutMs(): number | undefined {
    const deadline = Number(this.#call.getDeadline());
    return deadline === Number.POSITIVE_INFINITY ? undefined : deadline - Date.now();
  }

  /** Why the call has ended; undefined while it goes on. */
  get endReason(): Error | undefined {
    if (this.#abortReason === undefined && this.#call.cancelled) {
      const expired = isExpired(Number(this.#call.getDeadline()));
      this.#abortReason = expired ? new DeadlineExceededError() : new CallCancelledError();
    }
    return this.#abortReason;
  }

  /** Throws the reason why the call has ended, if it has. */
  throwIfEnded(): void {
    const reason = this.endReason;
    if (reason !== undefined) throw reason;
  }

  /** Ends the call for its handler. The first reason stays. */
  abort(reason: Error): void {
    this.#abortReason ??= reason;
    this.#controller?.abort(this.#abortReason);
  }

  /** Sends the response headers if the handler set any. */
  sendHeaders(): void {
    if (this.#responseHeader !== undefined) this.#call.sendMetadata(toMetadata(this.#responseHeader));
  }

  /** The response trailers if the handler set any. */
  takeTrailers(): Metadata | undefined {
    return this.#responseTrailer && toMetadata(this.#responseTrailer);
  }
}

function toHeaders(metadata: Metadata): Headers {
  const headers = new Headers();
  for (const [name, values] of Object.entries(metadata.toHttp2Headers())) {
    for (const value of [values ?? []].flat()) headers.append(name, String(value));
  }
  return headers;
}

function toMetadata(headers: Headers): Metadata {
  return Metadata.fromHttp2Headers(Object.fromEntries(headers));
}
