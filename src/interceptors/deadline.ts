import type { Metadata } from "@grpc/grpc-js";
import type { CallPolicy } from "../contract/policy.ts";
import { DeadlineExceededError } from "../grpc/errors.ts";
import type { CallStatus } from "../grpc/status-object.ts";
import { type Interceptor, PassThrough } from "./pass-through.ts";

/** With less time than this left, in milliseconds, no answer reaches the client in time. */
const LEAST_USEFUL_MS = 1;

/**
 * Gives every call the deadline that its method's policy states: the default where the client sets none, the longest
 * where the client wants more. The time runs from the arrival of the metadata, so a client that never sends its request
 * is not waited for. When it runs out, the client gets DEADLINE_EXCEEDED and the handler's signal is aborted.
 */
export function createDeadline(policyOf: (path: string) => CallPolicy): Interceptor {
  return ({ path }, call) => new DeadlineCall(call, policyOf(path));
}

class DeadlineCall extends PassThrough {
  readonly #policy: CallPolicy;
  #deadline = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(outer: PassThrough["outer"], policy: CallPolicy) {
    super(outer);
    this.#policy = policy;
  }

  override onReceiveMetadata(metadata: Metadata): void {
    const { defaultDeadlineMs, longestDeadlineMs } = this.#policy;
    const now = Date.now();
    const asked = Number(this.outer.getDeadline());
    const stated = asked === Number.POSITIVE_INFINITY ? now + defaultDeadlineMs : now + longestDeadlineMs;
    this.#deadline = Math.min(asked, stated);

    const left = this.#deadline - now;
    if (left < LEAST_USEFUL_MS) {
      this.refuse(new DeadlineExceededError());
      return;
    }
    // Also at the client's own deadline: grpc-js then sends a status, but while the client does not read, no handler
    // hears of it.
    if (left < Number.POSITIVE_INFINITY) this.#timer = setTimeout(() => this.refuse(new DeadlineExceededError()), left);
    super.onReceiveMetadata(metadata);
  }

  override getDeadline(): number {
    return this.#deadline;
  }

  override sendStatus(status: CallStatus): void {
    clearTimeout(this.#timer);
    super.sendStatus(status);
  }

  override onCancel(): void {
    clearTimeout(this.#timer);
    super.onCancel();
  }
}
