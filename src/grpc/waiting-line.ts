/** How long somebody waits, in milliseconds: clients of gRPC give up on a connection after 20 seconds. */
const LONGEST_WAIT_MS = 10_000;

/** How many wait at most. */
const MOST_WAITING = 1000;

/** A connection that has come, and has not been let in yet. */
export interface Newcomer {
  /** Lets it in. */
  enter(): void;
  /** Hangs up on it. */
  turnAway(): void;
}

/** Newcomers who wait, in the order of their coming. */
export class WaitingLine {
  readonly #line: (Newcomer & { readonly until: number })[] = [];

  /** How many wait. */
  get length(): number {
    return this.#line.length;
  }

  /** Has somebody wait who came at this time (of performance.now). Whoever is one too many is turned away. */
  join(newcomer: Newcomer, now: number): void {
    if (this.#line.length >= MOST_WAITING) newcomer.turnAway();
    else this.#line.push({ enter: newcomer.enter, turnAway: newcomer.turnAway, until: now + LONGEST_WAIT_MS });
  }

  /** Lets in those who have waited longest. */
  letIn(count: number): void {
    for (const newcomer of this.#line.splice(0, count)) newcomer.enter();
  }

  /** Turns away who has waited for too long by this time (of performance.now). */
  turnAwayOverdue(now: number): void {
    const kept = this.#line.findIndex(({ until }) => until > now);
    this.#turnAway(kept < 0 ? this.#line.length : kept);
  }

  /** Turns everybody away. */
  clear(): void {
    this.#turnAway(this.#line.length);
  }

  #turnAway(count: number): void {
    for (const newcomer of this.#line.splice(0, count)) newcomer.turnAway();
  }
}
