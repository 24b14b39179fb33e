import { describe, expect, it, onTestFinished, vi } from "vitest";
import { ChangesExpiredError } from "../../../src/domain/errors.ts";
import type { ChangeRetention } from "../../../src/repository/change-log.ts";
import { MemoryChangeLog } from "../../../src/repository/memory/change-log.ts";
import { Random } from "../../support/random.ts";

const AGE_MS = 1000;

/** A log that keeps everything but for what is said. */
function logOf(retention: Partial<ChangeRetention>): MemoryChangeLog {
  return new MemoryChangeLog({ maxCount: 1_000_000, maxAgeMs: 3_600_000, ...retention });
}

/** Adds changes of users named by their revisions, if the log was empty before. */
function append(log: MemoryChangeLog, count: number): void {
  for (let revision = 1; revision <= count; revision++) log.append("updated", `user ${revision}`);
}

/** The revisions that a reader gets who goes on after one, or the name of the error. */
function readAfter(log: MemoryChangeLog, after: number, limit = 1000): Promise<number[] | string> {
  return log.list({ after, limit }).then(
    (changes) => changes.map(({ revision }) => revision),
    (error: Error) => error.name,
  );
}

/** Stops the clock; returns what sets it forward, or back. */
function stopClock(): (ms: number) => void {
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  return (ms) => void vi.setSystemTime(Date.now() + ms);
}

describe("MemoryChangeLog, when there are many changes", () => {
  it("keeps as many as it may", async () => {
    const log = logOf({ maxCount: 3 });
    append(log, 3);
    expect(await readAfter(log, 0)).toEqual([1, 2, 3]);
  });

  it("forgets the oldest of more", async () => {
    const log = logOf({ maxCount: 3 });
    append(log, 5);
    expect(await readAfter(log, 2)).toEqual([3, 4, 5]);
    await expect(log.list({ after: 1, limit: 10 })).rejects.toThrow(ChangesExpiredError);
    expect(await log.latest()).toBe(5);
  });

  it("keeps what it says of a change, however many before it go", async () => {
    const advance = stopClock();
    const log = logOf({ maxCount: 3 });
    for (let revision = 1; revision <= 100; revision++) {
      advance(7);
      log.append("deleted", `user ${revision}`);
      const change = { revision, userId: `user ${revision}`, kind: "deleted", changedAt: Date.now() };
      expect(await log.list({ after: revision - 1, limit: 10 })).toEqual([change]);
    }
  });

  it("fails for those who may have missed something, and for nobody else, whatever is appended when", async () => {
    const advance = stopClock();
    const random = new Random(1);
    const log = logOf({ maxCount: 10, maxAgeMs: AGE_MS });
    const times: number[] = [];
    for (let round = 0; round < 300; round++) {
      advance(random.pick([0, 1, 10, AGE_MS / 4, AGE_MS, AGE_MS + 1]));
      for (let count = random.between(0, 4); count > 0; count--) {
        log.append("created", "somebody");
        times.push(Date.now());
      }
      const kept = times.filter((time, index) => index >= times.length - 10 && time >= Date.now() - AGE_MS).length;
      const gone = times.length - kept;
      for (let after = Math.max(0, gone - 2); after <= times.length + 1; after++) {
        const revisions = Array.from({ length: Math.max(times.length - after, 0) }, (_, index) => after + 1 + index);
        expect(await readAfter(log, after)).toEqual(after < gone ? "ChangesExpiredError" : revisions);
      }
      expect(await log.latest()).toBe(times.length);
    }
  });
});

describe("MemoryChangeLog, when time goes by", () => {
  it("keeps a change for as long as it may", async () => {
    const advance = stopClock();
    const log = logOf({ maxAgeMs: AGE_MS });
    append(log, 2);
    advance(AGE_MS);
    expect(await readAfter(log, 0)).toEqual([1, 2]);
  });

  it("forgets a change after that, even if there is no other", async () => {
    const advance = stopClock();
    const log = logOf({ maxAgeMs: AGE_MS });
    append(log, 2);
    advance(AGE_MS + 1);
    expect(await readAfter(log, 0)).toBe("ChangesExpiredError");
    expect(await readAfter(log, 1)).toBe("ChangesExpiredError");
    expect(await readAfter(log, 2)).toEqual([]);
    expect(await log.latest()).toBe(2);
  });

  it("goes on with the next revision after everything has been forgotten", async () => {
    const advance = stopClock();
    const log = logOf({ maxAgeMs: AGE_MS });
    for (let revision = 1; revision <= 5; revision++) {
      log.append("created", "somebody");
      expect(await readAfter(log, revision - 1)).toEqual([revision]);
      advance(AGE_MS + 1);
      expect(await readAfter(log, revision - 1)).toBe("ChangesExpiredError");
      expect(await log.latest()).toBe(revision);
    }
  });

  it("keeps what follows on a change that is kept, however old the clock makes it", async () => {
    const advance = stopClock();
    const log = logOf({ maxAgeMs: AGE_MS });
    append(log, 1);
    advance(-10 * AGE_MS);
    append(log, 1);
    advance(10 * AGE_MS);
    expect(await readAfter(log, 0)).toEqual([1, 2]);
    advance(AGE_MS + 1);
    expect(await readAfter(log, 1)).toBe("ChangesExpiredError");
    expect(await readAfter(log, 2)).toEqual([]);
  });
});
