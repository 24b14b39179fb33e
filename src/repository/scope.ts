import type { Principal } from "../domain/principal.ts";

/**
 * Something that can be called off, such as the call a handler serves. The signal is asked for only when it matters.
 */
export interface Cancellable {
  readonly signal: AbortSignal;
  /** Milliseconds until it is called off by itself; undefined if it never is. */
  timeoutMs?(): number | undefined;
}

/** Something that can be called off, and that somebody answers for. */
export interface WriteScope extends Cancellable {
  readonly author: Principal;
}
