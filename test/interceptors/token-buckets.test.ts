import { describe, expect, it } from "vitest";
import { TokenBuckets } from "../../src/interceptors/token-buckets.ts";

/** Takes tokens until there are no more, and tells how many there were. */
function drain(buckets: TokenBuckets, key: string, now: number): number {
  let taken = 0;
  while (buckets.take(key, now) === 0) taken++;
  return taken;
}

describe("a token bucket", () => {
  it("holds what fills it in the time of a burst, and then gives tokens at its rate", () => {
    const buckets = new TokenBuckets({ perSecond: 10, burstMs: 500 });
    expect(drain(buckets, "a", 0)).toBe(5);
    expect(drain(buckets, "a", 99)).toBe(0);
    expect(drain(buckets, "a", 100)).toBe(1);
    expect(drain(buckets, "a", 400)).toBe(3);
    expect(drain(buckets, "a", 10_000)).toBe(5);
  });

  it("tells how long to wait, to the millisecond; then there is a token", () => {
    const buckets = new TokenBuckets({ perSecond: 10, burstMs: 500 });
    drain(buckets, "a", 0);
    expect(buckets.take("a", 30)).toBe(70);
    expect(buckets.take("a", 100)).toBe(0);
  });

  it("takes nothing from those who are refused: asking again does not make them wait longer", () => {
    const buckets = new TokenBuckets({ perSecond: 10, burstMs: 500 });
    drain(buckets, "a", 0);
    for (let count = 0; count < 100; count++) buckets.take("a", 50);
    expect(buckets.take("a", 100)).toBe(0);
  });

  it("holds one token at least", () => {
    const buckets = new TokenBuckets({ perSecond: 2, burstMs: 0 });
    expect(drain(buckets, "a", 0)).toBe(1);
    expect(buckets.take("a", 0)).toBe(500);
    expect(drain(buckets, "a", 500)).toBe(1);
  });

  it.each([3, 7, 30, 997])("gives %d a second over a long time, whatever the arithmetic loses", (perSecond) => {
    const buckets = new TokenBuckets({ perSecond, burstMs: 1000 });
    let taken = 0;
    for (let now = 0; now < 20_000; now++) taken += drain(buckets, "a", now);
    expect(Math.abs(taken - 21 * perSecond)).toBeLessThanOrEqual(1);
  });

  it("is each key's own", () => {
    const buckets = new TokenBuckets({ perSecond: 10, burstMs: 500 });
    drain(buckets, "a", 0);
    expect(drain(buckets, "b", 0)).toBe(5);
  });
});

describe("the memory of token buckets", () => {
  const rate = { perSecond: 10, burstMs: 500 };

  it("is bounded, however many keys come", () => {
    const buckets = new TokenBuckets(rate, 100);
    for (let now = 0; now < 3000; now++) {
      for (let count = 0; count < 5; count++) buckets.take(`${now}-${count}`, now);
      expect(buckets.size).toBeLessThanOrEqual(100);
    }
  });

  it("keeps those who are limited, whoever else comes", () => {
    const buckets = new TokenBuckets(rate, 100);
    drain(buckets, "a", 0);
    for (let now = 0; now < 1000; now++) {
      for (let count = 0; count < 5; count++) buckets.take(`${now}-${count}`, now);
      // Of a full bucket five would be left at some time.
      expect(drain(buckets, "a", now)).toBe(now > 0 && now % 100 === 0 ? 1 : 0);
    }
  });

  it("has newcomers share one bucket while it is full, those who are known keep theirs", () => {
    const buckets = new TokenBuckets(rate, 2);
    buckets.take("a", 0);
    buckets.take("b", 0);
    const shared = ["c", "d", "e", "f", "g", "h"].map((key) => buckets.take(key, 0));
    expect(shared).toEqual([0, 0, 0, 0, 0, 100]);
    expect(drain(buckets, "a", 0)).toBe(4);
  });

  it("is given back when the buckets are full again", () => {
    const buckets = new TokenBuckets(rate, 100);
    for (let count = 0; count < 100; count++) buckets.take(String(count), 0);
    expect(buckets.size).toBe(100);
    expect(drain(buckets, "new", 1000)).toBe(5);
    expect(buckets.size).toBe(1);
  });
});
