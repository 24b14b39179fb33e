const WINDOW_MS = 1000;

/**
 * Counts the calls of a connection that were opened and cancelled in one go: the cancellation was read from the socket
 * together with the call, before anybody could look at it. A few are a client that was quick, or a server that was
 * slow; many are a rapid reset (CVE-2023-44487), which has the server begin as many calls as it can read, whatever the
 * limit of open calls.
 *
 * A busy client cancels many at once when the server was late, and has had many answered before. So as many as were
 * answered lately do not count: whoever attacks would have to take as many answers.
 */
export class InstantCancels {
  /** How many bytes had been read when the last call began: it is the same for all that come with one read. */
  #bytesRead = -1;
  /** The first call of that read. */
  #firstStreamId = 0;
  #count = 0;
  #windowStart = 0;
  /** Since the last look, and between the two before. */
  #answered = 0;
  #answeredBefore = 0;

  /** Notes that a call has begun, when so many bytes had been read. */
  begin(streamId: number, bytesRead: number): void {
    if (bytesRead === this.#bytesRead) return;
    this.#bytesRead = bytesRead;
    this.#firstStreamId = streamId;
  }

  /** Notes that a call has ended with an answer. */
  answered(): void {
    this.#answered++;
  }

  /** Notes that a call was cancelled, when so many bytes had been read, and tells whether that was at once. */
  cancelled(streamId: number, bytesRead: number): boolean {
    if (bytesRead !== this.#bytesRead || streamId < this.#firstStreamId) return false;
    const now = performance.now();
    if (now - this.#windowStart >= WINDOW_MS) {
      this.#windowStart = now;
      this.#count = 0;
    }
    this.#count++;
    return true;
  }

  /** How many calls were cancelled at once in this second, beyond as many as were answered since the look before last. */
  get unearned(): number {
    return this.#count - this.#answered - this.#answeredBefore;
  }

  /** Looks at the connection, from time to time: answers are forgotten after two looks. */
  look(): void {
    this.#answeredBefore = this.#answered;
    this.#answered = 0;
  }
}
