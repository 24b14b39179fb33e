import { Code } from "@connectrpc/connect";
import { REQUEST_ID } from "../contract/headers.ts";

/** A call that has ended, for logs and metrics. Holds nothing personal: neither messages, nor errors, nor tokens. */
export interface CallEvent {
  /** The method as gRPC names it, such as `user.v1.UserService/GetUser`. */
  readonly method: string;
  /** How the call ended, as gRPC names it: `OK`, `NOT_FOUND`, ... */
  readonly code: string;
  /**
   * From the call until its end, with all attempts and pauses, in milliseconds. A stream ends with its last response.
   */
  readonly durationMs: number;
  /** How many attempts the server has been asked in, as far as grpc-js tells; see gRFC A6. */
  readonly attempts: number;
  /** What the service calls the call in its logs. Undefined if it did not say so. */
  readonly requestId: string | undefined;
}

/** Is told of every call when it has ended, however it did. Must not throw. */
export type OnCall = (event: CallEvent) => void;

const PREVIOUS_ATTEMPTS = "grpc-previous-rpc-attempts";

/** What the metadata of a response tell of its call. */
export class CallNotes {
  readonly #start = performance.now();
  #attempts = 1;
  #requestId: string | undefined;

  /** Notes what headers or trailers say. What was noted before stays, where they say nothing. */
  add(headers: Headers): void {
    const previous = headers.get(PREVIOUS_ATTEMPTS);
    if (previous !== null) this.#attempts = Number(previous) + 1;
    this.#requestId = headers.get(REQUEST_ID) ?? this.#requestId;
  }

  /** The event of a call of `method` that ends now; undefined stands for OK. */
  toEvent(method: string, code: Code | undefined): CallEvent {
    return {
      method,
      code: code === undefined ? "OK" : nameOf(code),
      durationMs: performance.now() - this.#start,
      attempts: this.#attempts,
      requestId: this.#requestId,
    };
  }
}

/** The name of a code as gRPC writes it. */
export function nameOf(code: Code): string {
  // Connect alone spells it with one l.
  if (code === Code.Canceled) return "CANCELLED";
  return (Code[code] ?? "UNKNOWN").replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}
