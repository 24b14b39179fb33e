import { StreamAgedError } from "./errors.ts";
import { jittered } from "./jittered.ts";

/** A stream that would not end by itself. */
export interface LiveStream {
  /** Ends the stream: its client gets the status that `reason` stands for, after what was sent before. */
  stop(reason: Error): void;
}

/** How often the ages of all streams are looked at, in milliseconds, or ten times in an age. */
const LOOK_MS = 1000;

/** The streams without a deadline, which someone must end before the server can stop, or a connection. */
export class LiveStreams {
  /** With the time at which each is to end. */
  readonly #open = new Map<LiveStream, number>();
  readonly #maxAgeMs: number;
  #timer: NodeJS.Timeout | undefined;
  #stopReason: Error | undefined;

  /** Streams end when they are `maxAgeMs` old, give or take a tenth; 0 for never. */
  constructor(maxAgeMs = 0) {
    this.#maxAgeMs = maxAgeMs;
  }

  /** Keeps a stream until it is deleted. Once the server stops, the stream is ended at once instead. */
  add(stream: LiveStream): void {
    if (this.#stopReason !== undefined) {
      stream.stop(this.#stopReason);
      return;
    }
    this.#open.set(stream, Math.round(performance.now() + jittered(this.#maxAgeMs)));
    if (this.#maxAgeMs > 0) {
      this.#timer ??= setInterval(() => this.#endAged(), Math.min(LOOK_MS, this.#maxAgeMs / 10)).unref();
    }
  }

  delete(stream: LiveStream): void {
    this.#open.delete(stream);
    if (this.#open.size === 0) this.#rest();
  }

  /** Ends all streams, those to come included. */
  stop(reason: Error): void {
    this.#stopReason = reason;
    for (const stream of this.#open.keys()) stream.stop(reason);
    this.#open.clear();
    this.#rest();
  }

  #endAged(): void {
    const now = performance.now();
    for (const [stream, endsAt] of this.#open) {
      if (now < endsAt) continue;
      this.#open.delete(stream);
      stream.stop(new StreamAgedError());
    }
    if (this.#open.size === 0) this.#rest();
  }

  #rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
