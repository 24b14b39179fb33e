/** Wakes one waiter. A ring that nobody waits for is kept for the next wait, so that none is missed. */
export class Bell {
  #rung = false;
  #wake: (() => void) | undefined;

  readonly ring = (): void => {
    this.#rung = true;
    this.#wake?.();
  };

  /**
   * Resolves with true at the next ring, with false after `timeoutMs`. Rejects with the signal's reason if that is
   * aborted.
   */
  async wait(signal: AbortSignal, timeoutMs = Number.POSITIVE_INFINITY): Promise<boolean> {
    signal.throwIfAborted();
    if (!this.#rung) await this.#sleep(signal, timeoutMs);
    signal.throwIfAborted();
    const rung = this.#rung;
    this.#rung = false;
    return rung;
  }

  async #sleep(signal: AbortSignal, timeoutMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = timeoutMs === Number.POSITIVE_INFINITY ? undefined : setTimeout(resolve, timeoutMs);
    this.#wake = resolve;
    signal.addEventListener("abort", this.#onAbort, { once: true });
    await promise;
    signal.removeEventListener("abort", this.#onAbort);
    clearTimeout(timer);
    this.#wake = undefined;
  }

  readonly #onAbort = (): void => this.#wake?.();
}
