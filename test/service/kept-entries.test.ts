import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { ArrayLog, SCOPE, settle, tailOf, takeAll } from "./array-log.ts";

/** So many of the latest entries are kept, for so long. */
const MAX_KEPT = 1024;
const MAX_KEPT_MS = 5000;

describe("what a tail keeps", () => {
  it("is all that it holds in memory", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const log = new ArrayLog();
    const { open } = tailOf(log);
    const { cursor } = open(0);
    await settle();
    log.append(MAX_KEPT + 500);
    const entries = log.entries.map((entry) => new WeakRef(entry));
    log.tell();
    await settle();
    log.entries.length = 0;
    collect();
    const held = entries.filter((entry) => entry.deref() !== undefined);
    expect(held.length).toBeGreaterThan(0);
    expect(held.length).toBeLessThanOrEqual(MAX_KEPT);
    expect(held).toEqual(entries.slice(-held.length));
    cursor.close();
  });

  it("is bounded in number", async () => {
    const log = new ArrayLog();
    const { open } = tailOf(log);
    const [early, enough] = [open(0), open(0)];
    await settle();
    log.append(MAX_KEPT + 1);
    log.tell();
    await settle();
    log.reads.length = 0;
    await enough.cursor.take(SCOPE);
    expect(log.reads, "read for who is too far behind").toHaveLength(1);
    await takeAll(enough.cursor);
    expect(log.reads, "read though it is kept").toHaveLength(1);
    expect(await takeAll(early.cursor)).toEqual(log.entries);
  });

  it("is bounded in age", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    onTestFinished(() => void vi.useRealTimers());
    const log = new ArrayLog();
    const { open } = tailOf(log);
    const [slow, slower] = [open(0), open(0)];
    const add = async (count: number) => {
      log.append(count);
      log.tell();
      await settle();
      log.reads.length = 0;
    };
    await settle();
    await add(1);
    vi.advanceTimersByTime(MAX_KEPT_MS - 1);
    await add(1);
    expect(await slow.cursor.take(SCOPE)).toEqual(log.entries.slice(0, 1));
    expect(log.reads, "read though it is kept").toEqual([]);
    vi.advanceTimersByTime(2);
    await add(0);
    expect(await slow.cursor.take(SCOPE)).toEqual(log.entries.slice(1));
    expect(log.reads, "read though it is kept").toEqual([]);
    expect(await slower.cursor.take(SCOPE)).toEqual(log.entries);
    expect(log.reads, "too old to be kept").toHaveLength(1);
  });
});
