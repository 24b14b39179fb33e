import { setImmediate, setTimeout } from "node:timers/promises";
import type { Metadata, ServerInterceptingCallInterface, ServerInterceptor } from "@grpc/grpc-js";
import { InvalidInputError } from "../domain/errors.ts";
import { IncompleteStreamError } from "../grpc/errors.ts";
import { PassThrough } from "./pass-through.ts";

/** Request metadata: how many messages the client means to send. */
export const EXPECTED_COUNT = "x-expected-count";

/**
 * How long the end of a client stream is held back, in milliseconds. A grpc-js client that cancels a call half-closes it
 * first and resets it up to 3 ms later, as measured; until the reset arrives, the cancelled stream looks like a complete one.
 */
const BARRIER_MS = 5;

/**
 * Lets the handler of a client-streaming method see the half-close only when the stream is known to be complete, as far as
 * it can be: the client has not reset it shortly after, it did not end inside a message, and it has as many messages
 * as the client announced in `x-expected-count`, if it did. Otherwise the call fails with DATA_LOSS, or is cancelled already.
 */
export const completeStream: ServerInterceptor = ({ requestStream, responseStream }, call) =>
  requestStream && !responseStream ? new CompleteStream(call) : new PassThrough(call);

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
    await setTimeout(BARRIER_MS);
    // A reset may have arrived while the event loop was busy: let it read its sockets once more.
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

/**
 * Whether bytes of an unfinished message are left. grpc-js drops them silently, and has no public way to ask; should its
 * decoder change, this answers no, and a test fails.
 */
function endsInsideMessage(wire: ServerInterceptingCallInterface): boolean {
  const decoder: unknown = Reflect.get(wire, "decoder");
  const state: unknown = typeof decoder === "object" && decoder !== null ? Reflect.get(decoder, "readState") : 0;
  return state !== 0;
}

function invalidCount(): InvalidInputError {
  const description = "must be a whole number";
  return new InvalidInputError([{ field: EXPECTED_COUNT, reason: "EXPECTED_COUNT_INVALID", description }]);
}
