import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

/** As a process that has just started, whose clock stands still at NOW. */
let newUserId: () => string;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: NOW });
  vi.resetModules();
  ({ newUserId } = await import("../../src/domain/user-id.ts"));
});

afterEach(() => {
  vi.useRealTimers();
});

function makeIds(count: number): string[] {
  return Array.from({ length: count }, () => newUserId());
}

/** The milliseconds that an id says it was made at: its first 48 bits. */
function timeOf(id: string): number {
  return Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16);
}

/** The first place where an id is not greater than the one before it, or -1. */
function firstDescent(ids: readonly string[]): number {
  return ids.findIndex((id, index) => index > 0 && id <= (ids[index - 1] ?? ""));
}

describe("newUserId", () => {
  it("makes UUIDs of version 7 and variant 10, in lower case", () => {
    for (const id of makeIds(20_000))
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it.each([NOW, 1, 2 ** 32, 2 ** 48 - 1])("embeds the time: %d ms", (ms) => {
    vi.setSystemTime(ms);
    expect(timeOf(newUserId())).toBe(ms);
  });

  it("counts up within a millisecond, through both parts of the counter", () => {
    const ids = makeIds(2 ** 14 + 1);
    expect(ids[0]?.slice(14, 23)).toBe("7000-8000");
    expect(ids[1]?.slice(14, 23)).toBe("7000-8001");
    expect(ids[2 ** 14 - 1]?.slice(14, 23)).toBe("7000-bfff");
    expect(ids[2 ** 14]?.slice(14, 23)).toBe("7001-8000");
  });

  it("makes ids of one millisecond that ascend", () => {
    const ids = makeIds(100_000);
    expect(firstDescent(ids)).toBe(-1);
    expect(new Set(ids.map(timeOf))).toEqual(new Set([NOW]));
  });

  it("counts from the start in the next millisecond", () => {
    makeIds(3);
    vi.setSystemTime(NOW + 1);
    expect(newUserId().slice(14, 23)).toBe("7000-8000");
  });

  it("makes ids that ascend while the clock goes on", () => {
    vi.useRealTimers();
    expect(firstDescent(makeIds(100_000))).toBe(-1);
  });

  it("goes on from the latest id when the clock steps back", () => {
    const before = makeIds(3);
    vi.setSystemTime(NOW - 3_600_000);
    const after = makeIds(3);
    expect(firstDescent([...before, ...after])).toBe(-1);
    expect(after.map(timeOf)).toEqual([NOW, NOW, NOW]);
  });

  it("follows the clock again once it has caught up", () => {
    makeIds(1);
    vi.setSystemTime(NOW - 1000);
    makeIds(1);
    vi.setSystemTime(NOW + 1);
    expect(timeOf(newUserId())).toBe(NOW + 1);
  });

  it("ends every id in random digits of its own", () => {
    const tails = makeIds(2000).map((id) => id.slice(24));
    expect(new Set(tails).size).toBe(2000);
  });

  it("makes other ids in another process, even in the same millisecond", async () => {
    const ids = makeIds(1000);
    vi.resetModules();
    const another = await import("../../src/domain/user-id.ts");
    const others = Array.from({ length: 1000 }, () => another.newUserId());
    expect(new Set([...ids, ...others]).size).toBe(2000);
  });
});
