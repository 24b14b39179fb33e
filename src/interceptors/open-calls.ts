/** A call that someone else can end. */
export interface OpenCall {
  /** Ends the call with the status that `reason` stands for. */
  end(reason: Error): void;
  /** Ends the call if its message arrives in too many pieces. */
  endIfPiecemeal(): void;
  /** Where it stands among the open calls: theirs to set. */
  place: number;
}

/**
 * The calls that are open, from the arrival of each until its status has left or its connection is gone.
 *
 * In an array, because a Set would keep calls that have ended until V8 collects the whole heap: see ClosedStreams.
 */
export class OpenCalls {
  readonly #calls: OpenCall[] = [];
  #idle: (() => void) | undefined;

  /** How many calls are open. */
  get size(): number {
    return this.#calls.length;
  }

  /** Notes a call that has arrived. */
  add(call: OpenCall): void {
    call.place = this.#calls.push(call) - 1;
  }

  /** Notes that a call has ended; one that is not among the open calls is ignored. */
  delete(call: OpenCall): void {
    if (this.#calls[call.place] !== call) return;
    const last = this.#calls.pop();
    if (last !== undefined && last !== call) {
      last.place = call.place;
      this.#calls[last.place] = last;
    }
    if (this.#calls.length === 0) this.#idle?.();
  }

  /** Resolves when no call is open. */
  async idle(): Promise<void> {
    if (this.#calls.length === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idle = resolve;
    await promise;
  }

  /** Ends every call whose message arrives in too many pieces. */
  endPiecemeal(): void {
    // From the last on: one that leaves is replaced by one that was looked at before.
    for (let place = this.#calls.length - 1; place >= 0; place--) this.#calls[place]?.endIfPiecemeal();
  }

  /** Ends every open call with the status that `reason` stands for. */
  end(reason: Error): void {
    for (const call of [...this.#calls]) call.end(reason);
  }
}
