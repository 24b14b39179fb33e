/** Somebody who does something that not all may do at once. */
export interface TurnTaker {
  /** It is their turn. */
  begin(): void;
  /** They took too long while others waited; their turn is over. */
  expire(): void;
}

/**
 * Lets `size` at a time have their turn, the others in the order in which they came. Nobody keeps a turn for longer
 * than `patienceMs` while others wait. Works with one timer, and only while somebody waits.
 */
export class Turns {
  readonly #size: number;
  readonly #patienceMs: number;
  /** When the turn of each began, by performance.now, in the order in which they did. */
  readonly #taken = new Map<TurnTaker, number>();
  readonly #waiting = new Set<TurnTaker>();
  #timer: NodeJS.Timeout | undefined;

  constructor(size: number, patienceMs: number) {
    this.#size = size;
    this.#patienceMs = patienceMs;
  }

  /** Asks for a turn, which may begin now or later. */
  enter(taker: TurnTaker): void {
    this.#waiting.add(taker);
    this.#proceed();
  }

  /** Whether it is their turn. */
  has(taker: TurnTaker): boolean {
    return this.#taken.has(taker);
  }

  /** Gives the turn up, or no longer waits for it. */
  leave(taker: TurnTaker): void {
    this.#waiting.delete(taker);
    if (this.#taken.delete(taker)) this.#proceed();
    if (this.#waiting.size === 0) this.#stopTimer();
  }

  #proceed(): void {
    for (const taker of this.#waiting) {
      if (this.#taken.size >= this.#size) {
        this.#timer ??= setTimeout(() => this.#expire(), this.#patienceMs);
        return;
      }
      this.#waiting.delete(taker);
      this.#taken.set(taker, performance.now());
      taker.begin();
    }
    this.#stopTimer();
  }

  #expire(): void {
    this.#timer = undefined;
    const since = performance.now() - this.#patienceMs;
    const expired = [...this.#taken].filter(([, began]) => began <= since);
    for (const [taker] of expired) {
      this.#taken.delete(taker);
      taker.expire();
    }
    this.#proceed();
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
