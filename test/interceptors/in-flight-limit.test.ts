import { describe, expect, it } from "vitest";
import { InFlightLimit } from "../../src/interceptors/in-flight-limit.ts";

const HAD_MS = 100;

/** Something that serves `perSecond` calls a second, one after the other, for callers who give up after HAD_MS. */
class Queue {
  readonly limit: InFlightLimit;
  readonly #perMs: number;
  #waiting: number[] = [];
  #capacity = 0;
  now = 0;
  refused = 0;

  constructor(limit: InFlightLimit, perSecond: number) {
    this.limit = limit;
    this.#perMs = perSecond / 1000;
  }

  get inFlight(): number {
    return this.#waiting.length;
  }

  /** Lets calls arrive at a rate, for so long. */
  run(perSecond: number, ms: number): void {
    let due = 0;
    for (const end = this.now + ms; this.now < end; this.now++) {
      for (due += perSecond / 1000; due >= 1; due--) {
        if (this.limit.admits(this.inFlight)) this.#waiting.push(this.now);
        else this.refused++;
      }
      while ((this.#waiting[0] ?? this.now) <= this.now - HAD_MS) this.#end();
      for (this.#capacity += this.#perMs; this.#capacity >= 1; this.#capacity--) {
        if (this.inFlight > 0) this.#end();
      }
    }
  }

  #end(): void {
    const startedAt = this.#waiting.shift() ?? 0;
    // 2 ms that the work itself takes.
    this.limit.ended(this.now - startedAt + 2, HAD_MS, this.now);
  }
}

describe("the limit of calls in flight", () => {
  it("stands where it was while nothing is slow", () => {
    const queue = new Queue(new InFlightLimit(1000), 1000);
    queue.run(900, 5000);
    expect(queue.limit.current).toBe(1000);
    expect(queue.refused).toBe(0);
  });

  it.each([400, 1000, 5000])("comes to what %d calls a second can be answered in half of their time", (perSecond) => {
    const queue = new Queue(new InFlightLimit(5000), perSecond);
    queue.run(5 * perSecond, 2000);
    for (let count = 0; count < 20; count++) {
      queue.run(5 * perSecond, 100);
      const waitMs = (1000 * queue.inFlight) / perSecond;
      expect(waitMs).toBeGreaterThan(15);
      expect(waitMs).toBeLessThan(75);
    }
  });

  it("grows again when calls become quicker", () => {
    const limit = new InFlightLimit(5000);
    const slow = new Queue(limit, 400);
    slow.run(2000, 2000);
    const before = limit.current;
    const quick = new Queue(limit, 4000);
    quick.now = slow.now;
    quick.run(20_000, 5000);
    expect(limit.current).toBeGreaterThan(3 * before);
  });

  it("is what it was soon after the load is over", () => {
    const queue = new Queue(new InFlightLimit(5000), 1000);
    queue.run(5000, 3000);
    expect(queue.limit.current).toBeLessThan(100);
    queue.run(500, 10_000);
    expect(queue.limit.current).toBe(5000);
  });

  it("is not lowered by calls that are slow while there are few", () => {
    const limit = new InFlightLimit(5000);
    for (let now = 0; now < 10_000; now += 10) {
      limit.admits(15);
      limit.ended(HAD_MS, HAD_MS, now);
    }
    expect(limit.current).toBe(5000);
  });

  it("refuses nobody when the load is over", () => {
    const queue = new Queue(new InFlightLimit(5000), 1000);
    queue.run(5000, 3000);
    queue.run(500, 200);
    const before = queue.refused;
    queue.run(500, 3000);
    expect(queue.refused).toBe(before);
  });

  it("is never less than 16, so that slow calls do not keep all others out", () => {
    const limit = new InFlightLimit(5000);
    for (let now = 0; now < 10_000; now += 10) {
      limit.admits(100);
      limit.ended(HAD_MS, HAD_MS, now);
    }
    expect(limit.current).toBe(16);
    expect(limit.admits(15)).toBe(true);
    expect(limit.admits(16)).toBe(false);
  });

  it("is never more than it may be, even if that is less than 16", () => {
    const limit = new InFlightLimit(3);
    for (let now = 0; now < 5000; now += 10) {
      limit.admits(3);
      limit.ended(now < 2000 ? HAD_MS : 1, HAD_MS, now);
    }
    expect(limit.current).toBe(3);
    expect(limit.admits(2)).toBe(true);
    expect(limit.admits(3)).toBe(false);
  });

  it("is not moved by a few slow calls among many quick ones", () => {
    const limit = new InFlightLimit(5000);
    for (let now = 0; now < 5000; now++) {
      limit.admits(50);
      limit.ended(now % 3 === 0 ? HAD_MS : 1, HAD_MS, now);
    }
    expect(limit.current).toBe(5000);
  });
});
