import { describe, expect, it } from "vitest";
import { ArrayLog, SCOPE, settle, tailOf, takeAll } from "./array-log.ts";

const REASON = new Error("the log is lost");

describe("a tail whose log cannot be read", () => {
  it("fails for each cursor that is there, and works for the next", async () => {
    const log = new ArrayLog();
    log.append(3);
    const { tails, open } = tailOf(log);
    const opened = [0, 1, 3].map(open);
    await settle();
    log.delay = () => Promise.reject(REASON);
    log.append(1);
    log.tell();
    for (const { bell, cursor } of opened) {
      while (!(await bell.wait(SCOPE.signal)));
      await expect(cursor.take(SCOPE)).rejects.toBe(REASON);
    }

    log.delay = async () => {};
    // Beside those that have failed, and once these are gone.
    const beside = open(1);
    expect(await takeAll(beside.cursor)).toEqual(log.entries.slice(1));
    for (const { cursor } of [...opened, beside]) cursor.close();
    expect([tails.size, log.followers.size]).toEqual([0, 0]);
    const next = open(2);
    expect(await takeAll(next.cursor)).toEqual(log.entries.slice(2));
    log.append(1);
    log.tell();
    await next.bell.wait(SCOPE.signal);
    await settle();
    expect(await takeAll(next.cursor)).toEqual(log.entries.slice(-1));
  });

  it("goes on for who comes after the failure, though it is not told anew of what was new", async () => {
    const log = new ArrayLog();
    const { open } = tailOf(log);
    const failed = open(0);
    await settle();
    log.delay = () => Promise.reject(REASON);
    log.tell();
    await settle();
    log.delay = async () => {};
    const next = open(0);
    expect(await takeAll(next.cursor)).toEqual([]);
    await expect(failed.cursor.take(SCOPE)).rejects.toBe(REASON);
    log.append(1);
    log.tell();
    await next.bell.wait(SCOPE.signal);
    expect(await takeAll(next.cursor)).toEqual(log.entries);
  });

  it("gives who comes after the failure what was read before", async () => {
    const log = new ArrayLog();
    const { open } = tailOf(log);
    open(0);
    await settle();
    log.append(3);
    log.tell();
    await settle();
    log.delay = () => Promise.reject(REASON);
    log.tell();
    await settle();
    log.delay = async () => {};
    expect(await takeAll(open(1).cursor)).toEqual(log.entries.slice(1));
  });

  it("fails for who reads alone, and for nobody else", async () => {
    const log = new ArrayLog();
    log.append(3);
    const { open } = tailOf(log);
    const [behind, there] = [open(0), open(3)];
    await settle();
    log.delay = () => Promise.reject(REASON);
    await expect(behind.cursor.take(SCOPE)).rejects.toBe(REASON);
    expect(await there.cursor.take(SCOPE)).toEqual([]);
    log.delay = async () => {};
    expect(await takeAll(behind.cursor)).toEqual(log.entries);
  });

  it("fails where the beginning does", async () => {
    const log = new ArrayLog();
    log.delay = () => Promise.reject(REASON);
    const { cursor, bell } = tailOf(log).open(0);
    await bell.wait(SCOPE.signal);
    await expect(cursor.take(SCOPE)).rejects.toBe(REASON);
  });
});
