import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import { blameRequest, checkQuery } from "./bad-input.ts";

/** A request and its answer. */
export class Exchange {
  /** The address that the request came from, as the socket states it. */
  readonly caller: string;
  /** Whether it has become a call of the server. */
  isCall = false;

  constructor(caller: string) {
    this.caller = caller;
  }

  /** Looks at a request of a known method before its body is read. */
  begin(context: HandlerContext): void {
    const { signal } = context;
    signal.throwIfAborted();
    // Connect's handlers abort it with the error first, and answer with the error then.
    signal.addEventListener("abort", () => {
      if (!this.isCall) blameRequest(signal.reason, context);
    });
    checkQuery(context);
  }
}

/** By which handlers know the exchange that they are a part of. */
export const exchangeOf = createContextKey<Exchange>(new Exchange(""));
