import { setTimeout } from "node:timers/promises";
import { Code, type ConnectError } from "@connectrpc/connect";
import { readFailure } from "./failure.ts";

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;

/** The pauses between the calls of something that goes on over many of them. */
export class Backoff {
  #nextMs = FIRST_PAUSE_MS;

  /** Says that things go well again: the next pause is a short one. */
  reset(): void {
    this.#nextMs = FIRST_PAUSE_MS;
  }

  /**
   * Waits after a failure: each time twice as long, up to ten seconds, a fifth more or less so that not all clients
   * come back at once, and no shorter than the service asks for. Rejects when the signal is aborted.
   */
  async pause(failure: ConnectError, signal: AbortSignal): Promise<void> {
    const ms = this.#nextMs * (0.8 + 0.4 * Math.random());
    this.#nextMs = Math.min(this.#nextMs * 2, LONGEST_PAUSE_MS);
    await setTimeout(Math.max(ms, readFailure(failure).retryDelayMs ?? 0), undefined, { signal });
  }
}

/**
 * Whether a call that failed so may be made again, if it is safe to: the service is away for a moment, or says when to
 * come again, or nobody knows what has become of the call, or its token has expired while it went on.
 */
export function isPassing(error: ConnectError): boolean {
  if (error.code === Code.Unavailable) return true;
  const { reason, retryDelayMs } = readFailure(error);
  return retryDelayMs !== undefined || reason === "OUTCOME_UNKNOWN" || reason === "TOKEN_EXPIRED";
}
