/** A call that someone else can end. */
export interface OpenCall {
  /** Ends the call with the status that `reason` stands for. */
  end(reason: Error): void;
}

/** The calls that are open, from the arrival of each until its status has left or its connection is gone. */
export class OpenCalls {
  readonly #calls = new Set<OpenCall>();
  #idle: (() => void) | undefined;

  /** How many calls are open. */
  get size(): number {
    return this.#calls.size;
  }

  add(call: OpenCall): void {
    this.#calls.add(call);
  }

  delete(call: OpenCall): void {
    this.#calls.delete(call);
    if (this.#calls.size === 0) this.#idle?.();
  }

  /** Resolves when no call is open. */
  async idle(): Promise<void> {
    if (this.#calls.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idle = resolve;
    await promise;
  }

  /** Ends every open call with the status that `reason` stands for. */
  end(reason: Error): void {
    for (const call of this.#calls) call.end(reason);
  }
}
