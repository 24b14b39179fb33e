import { describe, expect, it } from "vitest";
import { JointWrites } from "../../src/service/joint-writes.ts";
import { chooseSeed, Random } from "../support/random.ts";

interface Write {
  readonly key: string;
  readonly items: readonly number[];
  succeed(): void;
  fail(error: Error): void;
}

/** Joint writes that end when the test says so; the result of an item is ten times that item. */
function startWrites() {
  const begun: Write[] = [];
  const awaited = new Map<number, () => void>();
  const writes = new JointWrites<number, number>((key, items) => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly number[]>();
    begun.push({ key, items, succeed: () => resolve(items.map((item) => item * 10)), fail: reject });
    awaited.get(begun.length)?.();
    return promise;
  });
  /** Waits until as many writes have begun, and returns the last of these. */
  const begin = async (count: number): Promise<Write> => {
    if (begun.length < count) await new Promise<void>((resolve) => awaited.set(count, resolve));
    return begun[count - 1] ?? expect.fail("no write");
  };
  return { writes, begun, begin };
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

describe("JointWrites", () => {
  it("writes together what is handed in in one moment, and returns to each its own result", async () => {
    const { writes, begun, begin } = startWrites();
    const results = [3, 1, 2].map((item) => writes.write("a", item));
    (await begin(1)).succeed();
    expect(await Promise.all(results)).toEqual([30, 10, 20]);
    expect(begun).toMatchObject([{ key: "a", items: [3, 1, 2] }]);
  });

  it("writes together what is handed in while a write is under way, when that is over", async () => {
    const { writes, begun, begin } = startWrites();
    const first = writes.write("a", 1);
    const write = await begin(1);
    const rest = [2, 3, 4].map((item) => writes.write("a", item));
    expect(begun).toHaveLength(1);
    write.succeed();
    expect(await first).toBe(10);
    (await begin(2)).succeed();
    expect(await Promise.all(rest)).toEqual([20, 30, 40]);
    expect(begun.map(({ items }) => items)).toEqual([[1], [2, 3, 4]]);
  });

  it("lets keys not wait for each other", async () => {
    const { writes, begun, begin } = startWrites();
    const [one, other] = [writes.write("a", 1), writes.write("b", 2)];
    const write = await begin(2);
    expect(begun.map(({ key }) => key)).toEqual(["a", "b"]);
    write.succeed();
    expect(await other).toBe(20);
    (await begin(1)).succeed();
    expect(await one).toBe(10);
  });

  it("writes up to 200 items at once, and the others after these, in order", async () => {
    const { writes, begun, begin } = startWrites();
    const results = Promise.all(range(1, 450).map((item) => writes.write("a", item)));
    for (const count of [1, 2, 3]) (await begin(count)).succeed();
    expect(await results).toEqual(range(1, 450).map((item) => item * 10));
    expect(begun.map(({ items }) => items.length)).toEqual([200, 200, 50]);
    expect(begun.flatMap(({ items }) => items)).toEqual(range(1, 450));
  });

  it("fails those of a write with it, and those who wait behind them, and nobody else", async () => {
    const { writes, begin } = startWrites();
    const settled = Promise.allSettled([1, 2].map((item) => writes.write("a", item)));
    const write = await begin(1);
    const later = writes.write("a", 3);
    const elsewhere = writes.write("b", 4);
    const error = new Error("no");
    write.fail(error);
    expect(await settled).toEqual([
      { status: "rejected", reason: error },
      { status: "rejected", reason: error },
    ]);
    await expect(later).rejects.toBe(error);
    (await begin(2)).succeed();
    expect(await elsewhere).toBe(40);
    const anew = writes.write("a", 5);
    (await begin(3)).succeed();
    expect(await anew).toBe(50);
  });

  it("goes on when all that there was has been written", async () => {
    const { writes, begin } = startWrites();
    for (const count of [1, 2, 3]) {
      const result = writes.write("a", count);
      (await begin(count)).succeed();
      expect(await result).toBe(count * 10);
    }
  });

  it("never has two writes of a key under way, and keeps its order, whatever is handed in when", async () => {
    const seed = chooseSeed();
    const random = new Random(seed);
    const underWay = new Set<string>();
    const written = new Map<string, number[]>();
    const writes = new JointWrites<number, number>(async (key, items) => {
      expect(underWay.has(key), `SEED=${seed}`).toBe(false);
      underWay.add(key);
      for (let turns = random.between(0, 3); turns > 0; turns--) await new Promise(setImmediate);
      underWay.delete(key);
      written.set(key, [...(written.get(key) ?? []), ...items]);
      return items;
    });
    const handedIn = new Map<string, number[]>();
    const results: Promise<number>[] = [];
    for (let item = 0; item < 2000; item++) {
      const key = random.pick(["a", "b", "c"]);
      handedIn.set(key, [...(handedIn.get(key) ?? []), item]);
      results.push(writes.write(key, item));
      if (random.next() < 0.1) await new Promise(setImmediate);
    }
    expect(await Promise.all(results), `SEED=${seed}`).toEqual(range(0, 1999));
    expect(written, `SEED=${seed}`).toEqual(handedIn);
  });
});
