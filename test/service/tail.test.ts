import { setImmediate } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { Bell } from "../../src/service/bell.ts";
import { Tails } from "../../src/service/tail.ts";
import { FULL } from "../support/full.ts";
import { chooseSeed, Random } from "../support/random.ts";
import { ArrayLog, type Entry, SCOPE, settle, tailOf, takeAll } from "./array-log.ts";

const ROUNDS = FULL ? 5000 : 20;
const CURSORS = 10;
const APPENDS = 40;
/** More than are kept. */
const MANY = 1200;

/** Takes entries until the last of all has come, and rests in between, as long as chance will have it. */
async function follow(log: ArrayLog, at: ReturnType<ReturnType<typeof tailOf>["open"]>, random: Random, end: number) {
  const { bell, cursor } = at;
  const taken: Entry[] = [];
  const rest = random.pick([0, 0, 5, 40]);
  const stop = AbortSignal.timeout(10_000);
  while (cursor.position < end) {
    const page = await cursor.take(SCOPE);
    taken.push(...page);
    for (let turn = 0; turn < rest; turn++) await setImmediate();
    if (page.length === 0 && cursor.position < end) await bell.wait(stop);
  }
  expect(log.end).toBe(end);
  cursor.close();
  return taken;
}

describe("a tail", () => {
  it("gives every cursor each entry once and in order, wherever it starts and however slow it is", async () => {
    const seed = chooseSeed();
    for (let round = 0; round < ROUNDS; round++) {
      const random = new Random(seed + round);
      const log = new ArrayLog();
      log.append(random.between(0, 100), random.between(1, 3));
      log.delay = async () => {
        if (random.next() < 0.3) await setImmediate();
      };
      const { tails, open } = tailOf(log);
      const sizes = Array.from({ length: APPENDS }, () => random.pick([0, 1, 1, 2, 10, 50, random.between(0, 200)]));
      if (round % 3 === 0) sizes[random.between(10, APPENDS - 1)] = MANY;
      const steps = sizes.map(() => random.between(1, 3));
      const end = sizes.reduce((sum, size, index) => sum + size * (steps[index] ?? 0), log.end);

      const start = log.end;
      const followed: Promise<[after: number, taken: Entry[]]>[] = [];
      for (const [index, size] of sizes.entries()) {
        if (index % (APPENDS / CURSORS) === 0) {
          const after = random.pick([0, start, log.end, random.between(0, log.end)]);
          followed.push(follow(log, open(after), random, end).then((taken) => [after, taken]));
        }
        log.append(size, steps[index]);
        // As on a bus: late, twice, together, before anybody has read, and from time to time in vain.
        if (random.next() < 0.7) log.tell();
        for (let turn = random.between(0, 4); turn > 0; turn--) await setImmediate();
      }
      const poll = setInterval(() => log.tell(), 1);
      for (const [after, taken] of await Promise.all(followed)) {
        expect(taken, `SEED=${seed + round}, after ${after}`).toEqual(
          log.entries.filter(({ position }) => position > after),
        );
      }
      clearInterval(poll);
      expect([tails.size, log.followers.size], `SEED=${seed + round}`).toEqual([0, 0]);
    }
  });

  it("rings the bells of all who are at the end when something is new, once it can be taken", async () => {
    const log = new ArrayLog();
    log.append(3);
    const { open } = tailOf(log);
    const opened = [0, 1, 3].map(open);
    for (const { cursor } of opened) await takeAll(cursor);
    await settle();
    for (let round = 0; round < 3; round++) {
      const rings = opened.map(async ({ bell, cursor }) => {
        for (;;) {
          await bell.wait(SCOPE.signal);
          const taken = await takeAll(cursor);
          if (taken.length > 0) return taken;
        }
      });
      log.append(1);
      log.tell();
      const last = log.entries.slice(-1);
      expect(await Promise.all(rings)).toEqual([last, last, last]);
    }
  });

  it("reads what is new once for all who are there, and gives them the same objects", async () => {
    const log = new ArrayLog();
    log.append(10);
    const { open } = tailOf(log);
    const opened = Array.from({ length: 100 }, () => open(log.end));
    await settle();
    log.reads.length = 0;
    log.append(20);
    log.tell();
    await settle();
    const taken = await Promise.all(opened.map(({ cursor }) => takeAll(cursor)));
    for (const each of taken) expect(each.every((entry, index) => entry === log.entries[10 + index])).toBe(true);
    expect(taken.every(({ length }) => length === 20)).toBe(true);
    expect(log.reads).toHaveLength(1);
  });

  it("reads for who has fallen behind at their own pace, and once more from what is kept when they are there", async () => {
    const log = new ArrayLog();
    log.append(50);
    const { open } = tailOf(log);
    const late = open(0);
    await settle();
    log.append(5);
    log.tell();
    await settle();
    log.reads.length = 0;
    expect(await takeAll(late.cursor)).toEqual(log.entries);
    expect(log.reads.map(({ after }) => after)).toEqual([0, 32]);
  });

  it("reads again when it is told of news while it reads", async () => {
    const log = new ArrayLog();
    const { open } = tailOf(log);
    const { bell, cursor } = open(0);
    await settle();
    const gate = Promise.withResolvers<void>();
    log.delay = () => gate.promise;
    log.append(1);
    log.tell();
    log.append(1);
    log.tell();
    gate.resolve();
    await bell.wait(SCOPE.signal);
    await settle();
    expect(await takeAll(cursor)).toEqual(log.entries);
  });

  it("opens cursors beside each other for each log, and one tail for each", async () => {
    const logs = new Map(["a", "b"].map((name) => [name, new ArrayLog()]));
    const tails = new Tails<Entry>((name) => logs.get(name) ?? expect.fail("there is no such log"));
    const cursors = ["a", "b", "a", "b"].map((name) => tails.open(name, 0, new Bell()));
    expect(tails.size).toBe(2);
    expect([...logs.values()].map(({ followers }) => followers.size)).toEqual([1, 1]);
    logs.get("a")?.append(2);
    expect(await Promise.all(cursors.map((cursor) => takeAll(cursor)))).toMatchObject([[{}, {}], [], [{}, {}], []]);
    for (const [index, cursor] of cursors.entries()) {
      cursor.close();
      cursor.close();
      expect(tails.size).toBe(index < 2 ? 2 : 3 - index);
    }
    expect([...logs.values()].map(({ followers }) => followers.size)).toEqual([0, 0]);
  });

  it("calls off its read when the last cursor is closed, and rings no bell any more", async () => {
    const log = new ArrayLog();
    const { open } = tailOf(log);
    const { bell, cursor } = open(0);
    await settle();
    const gate = Promise.withResolvers<void>();
    log.delay = () => gate.promise;
    log.append(1);
    log.tell();
    const rung = vi.spyOn(bell, "ring");
    cursor.close();
    gate.resolve();
    await settle();
    log.tell();
    await settle();
    expect(rung).not.toHaveBeenCalled();
    expect(log.reads).toHaveLength(1);
  });
});
