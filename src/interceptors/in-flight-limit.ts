/** So many calls are always let in: fewer would leave the connections to a database idle. */
const LEAST = 16;

/** How long what became of calls is gathered before the limit moves, in milliseconds, and how many calls it takes. */
const WINDOW_MS = 100;
const LEAST_SAMPLES = 8;

/** With more than this share of their time used up, on average, calls wait too long. */
const TOO_MUCH = 0.5;
/** What the limit aims at then; and while calls use less than this, more may come. */
const AIM = 0.4;

const GROWTH = 1.1;

/**
 * How many calls may be in flight: as many as end with half of their time left, on average, and `max` at most.
 *
 * What the calls wait for, a database or this process, serves only so many a second; more in flight wait longer and are
 * answered no sooner, until none of them is answered in time. So the limit falls in proportion as calls use up too much
 * of their time, and grows by a tenth while they use up little, until it is `max` again. Calls that are slow while
 * there are few do not lower it.
 */
export class InFlightLimit {
  readonly #max: number;
  #limit: number;
  #movedAt = Number.NEGATIVE_INFINITY;
  #windowEnd = 0;
  #samples = 0;
  #shares = 0;
  #most = 0;

  constructor(max: number) {
    this.#max = max;
    this.#limit = max;
  }

  /** How many calls may be in flight now. */
  get current(): number {
    return this.#limit;
  }

  /** Whether another call may come when there are `inFlight`. */
  admits(inFlight: number): boolean {
    if (inFlight > this.#most) this.#most = inFlight;
    return inFlight < this.#limit;
  }

  /** Takes note that a call ended after `durationMs`, of `hadMs` that it had. `now` is in milliseconds. */
  ended(durationMs: number, hadMs: number, now: number): void {
    // What came before the last move tells nothing of its effect.
    if (now - durationMs < this.#movedAt) return;
    this.#samples++;
    this.#shares += Math.min(durationMs / hadMs, 1);
    if (now < this.#windowEnd || this.#samples < LEAST_SAMPLES) return;
    this.#move(this.#shares / this.#samples, now);
    this.#windowEnd = now + WINDOW_MS;
    this.#samples = 0;
    this.#shares = 0;
    this.#most = 0;
  }

  #move(share: number, now: number): void {
    if (share > TOO_MUCH && this.#most > LEAST) {
      // Counted from what was in flight: a limit far above that would take long to be felt.
      const reached = Math.min(this.#limit, this.#most);
      this.#limit = Math.min(this.#max, Math.max(LEAST, Math.floor((reached * AIM) / share)));
      this.#movedAt = now;
    } else if (share < AIM && this.#limit < this.#max) {
      this.#limit = Math.min(this.#max, Math.ceil(this.#limit * GROWTH));
      this.#movedAt = now;
    }
  }
}
