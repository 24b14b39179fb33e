import { setImmediate } from "node:timers/promises";
import type { Metadata } from "@grpc/grpc-js";
import { EXPECTED_COUNT } from "../contract/headers.ts";
import { InvalidInputError } from "../domain/errors.ts";
import { IncompleteStreamError } from "../grpc/errors.ts";
import { endsInsideMessage, roundTrip } from "../grpc/wire.ts";
import { type Interceptor, PassThrough } from "./pass-through.ts";

/**
 * Lets the handler of a client-streaming method see the half-close only when the stream is known to be complete, as far
 * as it can be. Otherwise the call fails with DATA_LOSS, or is cancelled already.
 *
 * Clients on Node that cancel a call half-close it first, and reset it in another write, when their event loop comes to
 * it: until then, the cancelled stream looks like a complete one. So the half-close is held back until the client has
 * answered a PING, before which a reset must have arrived. Behind a proxy, which answers PINGs itself, that proves
 * nothing; there the client's `x-expected-count` does.
 */
export const completeStream: Interceptor = ({ requestStream, responseStream }, call) =>
  requestStream && !responseStream ? new CompleteStream(call) : call;

class CompleteStream extends PassThrough {
  #expected: number | undefined;
  #received = 0;
  #ended = false;

  override onReceiveMetadata(metadata: Metadata): void {
    const [expected] = metadata.get(EXPECTED_COUNT);
    if (expected !== undefined) {
      if (!/^\d{1,15}$/.test(String(expected))) {
        this.refuse(invalidCount());
        return;
      }
      this.#expected = Number(expected);
    }
    super.onReceiveMetadata(metadata);
  }

  override onReceiveMessage(message: unknown): void {
    this.#received++;
    super.onReceiveMessage(message);
  }

  override onReceiveHalfClose(): void {
    void this.#holdBack();
  }

  override onCancel(): void {
    this.#ended = true;
    super.onCancel();
  }

  async #holdBack(): Promise<void> {
    await roundTrip(this.wire);
    // The answer and the reset may come in one read, and a reset is told of later in the event loop's turn.
    await setImmediate();
    await setImmediate();
    if (this.#ended) return;
    const fault = this.#fault();
    if (fault === undefined) super.onReceiveHalfClose();
    else this.refuse(new IncompleteStreamError(fault));
  }

  #fault(): string | undefined {
    if (endsInsideMessage(this.wire)) return "the stream ended inside a message";
    if (this.#expected === undefined || this.#expected === this.#received) return undefined;
    return `${EXPECTED_COUNT} announced ${this.#expected} messages, ${this.#received} arrived`;
  }
}

function invalidCount(): InvalidInputError {
  const description = "must be a whole number";
  return new InvalidInputError([{ field: EXPECTED_COUNT, reason: "EXPECTED_COUNT_INVALID", description }]);
}
