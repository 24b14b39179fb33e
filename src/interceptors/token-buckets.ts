/** How many calls are let in. */
export interface Rate {
  readonly perSecond: number;
  /** For how long, in milliseconds, calls that were not made can be saved up; one call always can. */
  readonly burstMs: number;
}

/** Some 140 bytes each. */
const MAX_BUCKETS = 50_000;

/**
 * A token bucket for each key (GCRA): who has made no calls for a while may make `perSecond * burstMs / 1000` at once,
 * and then `perSecond`.
 *
 * A bucket is a single number, the time at which it will be full again, and a full one needs no entry. After `burstMs`
 * every bucket is full that nobody has taken from, so entries are kept in two generations, of which the old one is
 * dropped as a whole. At most `maxBuckets` are kept: while that many are in use, newcomers share one more. So nobody
 * fills the memory with names, and nobody gets rid of a bucket of their own by it.
 */
export class TokenBuckets {
  readonly #intervalMs: number;
  readonly #depthMs: number;
  readonly #maxBuckets: number;
  #young = new Map<string, number>();
  #old = new Map<string, number>();
  #ageAt = 0;
  #sharedFullAt = 0;

  constructor({ perSecond, burstMs }: Rate, maxBuckets: number = MAX_BUCKETS) {
    this.#intervalMs = 1000 / perSecond;
    this.#depthMs = Math.max(burstMs, this.#intervalMs);
    this.#maxBuckets = maxBuckets;
  }

  /** How many buckets are kept. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /**
   * Takes a token, and returns 0; or if there is none, returns the milliseconds until there is one. `now` is in
   * milliseconds, by a clock that never goes back.
   */
  take(key: string, now: number): number {
    if (now >= this.#ageAt) this.#age(now);
    const young = this.#young.get(key);
    const known = young ?? this.#old.get(key);
    const isShared = known === undefined && this.size >= this.#maxBuckets;
    const fullAt = Math.max(known ?? (isShared ? this.#sharedFullAt : now), now) + this.#intervalMs;
    const wait = fullAt - this.#depthMs - now;
    // What is left of the arithmetic is no reason to refuse.
    if (wait > 1e-6) return wait;
    if (isShared) {
      this.#sharedFullAt = fullAt;
      return 0;
    }
    this.#young.set(key, fullAt);
    if (young === undefined) this.#old.delete(key);
    return 0;
  }

  #age(now: number): void {
    const isLate = now >= this.#ageAt + this.#depthMs;
    this.#old = isLate ? new Map() : this.#young;
    this.#young = new Map();
    this.#ageAt = now + this.#depthMs;
  }
}
