/** What of a grpc-js call cancels it. */
interface Cancellable {
  cancel(): void;
}

/** Cancels a call when the signal is aborted. */
export function cancelWith(call: Cancellable, signal: AbortSignal): void {
  // grpc-js starts a call in two steps, between which it awaits a promise. A call that is cancelled there is reported
  // as cancelled, but starts all the same, and nothing ever ends it.
  signal.addEventListener("abort", () => setImmediate(() => call.cancel()));
}
