const WINDOW_MS = 1000;

/**
 * Counts the calls of a connection that were opened and cancelled in one go: the cancellation was read from the socket
 * together with the call, before anybody could look at it. A few are a client that was quick, or a server that was
 * slow; many are a rapid reset (CVE-2023-44487), which has the server begin as many calls as it can read, whatever the
 * limit of open calls.
 */
export class InstantCancels {
  /** How many bytes had been read when the last call began: it is the same for all that come with one read. */
  #bytesRead = -1;
  /** The first call of that read. */
  #firstStreamId = 0;
  #count = 0;
  #windowStart = 0;

  /** Notes that a call has begun, when so many bytes had been read. */
  begin(streamId: number, bytesRead: number): void {
    if (bytesRead === this.#bytesRead) return;
    this.#bytesRead = bytesRead;
    this.#firstStreamId = streamId;
  }

  /**
   * Notes that a call was cancelled, when so many bytes had been read. Returns how many were cancelled at once in this
   * second.
   */
  cancel(streamId: number, bytesRead: number): number {
    if (bytesRead !== this.#bytesRead || streamId < this.#firstStreamId) return 0;
    const now = performance.now();
    if (now - this.#windowStart >= WINDOW_MS) {
      this.#windowStart = now;
      this.#count = 0;
    }
    this.#count++;
    return this.#count;
  }
}
