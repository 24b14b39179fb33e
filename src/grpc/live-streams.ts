/** A stream that would not end by itself. */
export interface LiveStream {
  /** Ends the stream: its client gets the status that `reason` stands for, after what was sent before. */
  stop(reason: Error): void;
}

/** The streams without a deadline, which someone must end before the server can stop. */
export class LiveStreams {
  readonly #open = new Set<LiveStream>();
  #stopReason: Error | undefined;

  /** Keeps a stream until it is deleted. Once the server stops, the stream is ended at once instead. */
  add(stream: LiveStream): void {
    if (this.#stopReason === undefined) this.#open.add(stream);
    else stream.stop(this.#stopReason);
  }

  delete(stream: LiveStream): void {
    this.#open.delete(stream);
  }

  /** Ends all streams, those to come included. */
  stop(reason: Error): void {
    this.#stopReason = reason;
    for (const stream of this.#open) stream.stop(reason);
    this.#open.clear();
  }
}
