import { setImmediate } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { StoreUnavailableError } from "../../../src/domain/errors.ts";
import { JointReads } from "../../../src/repository/postgres/joint-reads.ts";
import type { Cancellable } from "../../../src/repository/scope.ts";
import { stopTheClock } from "../../support/stop-the-clock.ts";

/** So many statements are under way at a time. */
const STATEMENTS = 4;
/** So many keys go into one. */
const KEYS = 500;
/** By then, a statement is slow, in milliseconds. */
const SLOW_MS = 20;

/** A caller who does not give up. */
const PATIENT: Cancellable = { signal: new AbortController().signal };

/** A statement that a test answers. */
interface Sent {
  readonly keys: readonly string[];
  readonly scope: Cancellable;
  /** Finds this value for each of these keys, which are all that were asked for if none are named. */
  find(value: string, keys?: readonly string[]): void;
  fail(error: Error): void;
}

/** Reads whose statements a test answers. */
function jointReads() {
  const sent: Sent[] = [];
  let arrival = Promise.withResolvers<void>();
  const reads = new JointReads<string>((keys, scope) => {
    const { promise, resolve, reject } = Promise.withResolvers<ReadonlyMap<string, string>>();
    const find = (value: string, found = keys) => resolve(new Map(found.map((key) => [key, value])));
    sent.push({ keys, scope, find, fail: reject });
    arrival.resolve();
    arrival = Promise.withResolvers();
    return promise;
  });
  const read = (key: string, scope = PATIENT) => reads.read(key, scope);
  /** The first statement that has not been taken yet. */
  const next = async (): Promise<Sent> => {
    for (;;) {
      const statement = sent.shift();
      if (statement !== undefined) return statement;
      await arrival.promise;
    }
  };
  /** The statements that are sent of what has been asked, if there are any. */
  const rest = async (): Promise<Sent[]> => {
    for (let turn = 0; turn < 5; turn++) await setImmediate();
    return sent.splice(0);
  };
  /** Has as many statements under way as there may be. */
  const occupy = async (): Promise<Sent[]> => {
    const statements: Sent[] = [];
    for (let count = 0; count < STATEMENTS; count++) {
      void read(`occupied ${count}`);
      statements.push(await next());
    }
    return statements;
  };
  return { read, next, rest, occupy };
}

/** Somebody who may give up, and has so much time from now on; as much as they like if none is told. */
function caller(timeMs?: number) {
  const controller = new AbortController();
  const end = performance.now() + (timeMs ?? 0);
  const scope: Cancellable = {
    signal: controller.signal,
    ...(timeMs !== undefined && { timeoutMs: () => end - performance.now() }),
  };
  return { scope, giveUp: (reason: Error) => controller.abort(reason) };
}

function keysOf(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `key ${index}`);
}

describe("joint reads", () => {
  it("share one statement if they begin in one turn, and send a key once", async () => {
    const { read, next, rest } = jointReads();
    const answers = Promise.all(["a", "b", "a", "c", "b"].map((key) => read(key)));
    const statement = await next();
    expect(statement.keys).toEqual(["a", "b", "c"]);
    statement.find("found");
    expect(await answers).toEqual(Array(5).fill("found"));
    expect(await rest()).toEqual([]);
  });

  it("find each what is there with its own key, and undefined where there is nothing", async () => {
    const reads = new JointReads<string>(
      async (keys) => new Map(keys.flatMap((key) => (key === "b" ? [] : [[key, `with ${key}`]]))),
    );
    const answers = ["a", "b", "c", "a"].map((key) => reads.read(key, PATIENT));
    expect(await Promise.all(answers)).toEqual(["with a", undefined, "with c", "with a"]);
  });

  it("fail all as their statement does, and others do not", async () => {
    const { read, next } = jointReads();
    const failing = Promise.allSettled([read("a"), read("b")]);
    const first = await next();
    const fine = read("a");
    const second = await next();
    const reason = new Error("refused");
    first.fail(reason);
    second.find("found");
    expect(await failing).toEqual([
      { status: "rejected", reason },
      { status: "rejected", reason },
    ]);
    expect(await fine).toBe("found");
  });

  it("go on after a statement that fails at once", async () => {
    let failures = 0;
    const reads = new JointReads<string>(() => {
      failures++;
      throw new Error("refused");
    });
    for (let count = 1; count <= 2 * STATEMENTS; count++) {
      await expect(reads.read("a", PATIENT)).rejects.toThrow("refused");
      expect(failures).toBe(count);
    }
  });

  it("see what was there when they began: a statement that was sent before is none of theirs", async () => {
    const { read, next } = jointReads();
    const early = read("a");
    const first = await next();
    const late = read("a");
    const second = await next();
    first.find("old");
    expect(await early).toBe("old");
    second.find("new");
    expect(await late).toBe("new");
  });
});

describe("joint reads, when there are many", () => {
  it("take four statements at a time, and share the next one while they wait", async () => {
    const { read, next, rest, occupy } = jointReads();
    const [first] = await occupy();
    const answers: Promise<string | undefined>[] = [];
    for (const key of ["a", "b", "a"]) {
      answers.push(read(key));
      expect(await rest()).toEqual([]);
    }
    first?.find("found");
    const statement = await next();
    expect(statement.keys).toEqual(["a", "b"]);
    expect(await rest()).toEqual([]);
    statement.find("found");
    expect(await Promise.all(answers)).toEqual(Array(3).fill("found"));
  });

  it("make room for others when a statement fails", async () => {
    const { read, next, occupy } = jointReads();
    const [first] = await occupy();
    const answer = read("a");
    first?.find("found");
    (await next()).fail(new Error("refused"));
    await expect(answer).rejects.toThrow("refused");
    const later = read("a");
    (await next()).find("found");
    expect(await later).toBe("found");
  });

  it.each([
    [KEYS, [KEYS]],
    [KEYS + 1, [KEYS, 1]],
    [2 * KEYS + 1, [KEYS, KEYS, 1]],
  ])("ask for %i keys in statements of %j", async (count, sizes) => {
    const { read, rest } = jointReads();
    const answers = Promise.all(keysOf(count).map((key) => read(key)));
    const statements = await rest();
    expect(statements.map(({ keys }) => keys.length)).toEqual(sizes);
    expect(statements.flatMap(({ keys }) => keys)).toEqual(keysOf(count));
    for (const [index, { find }] of statements.entries()) find(`by ${index}`);
    expect(await answers).toEqual(sizes.flatMap((size, index) => Array(size).fill(`by ${index}`)));
  });

  it("ask for the keys of more than four statements when there is room again", async () => {
    const { read, rest } = jointReads();
    const answers = Promise.all(keysOf(STATEMENTS * KEYS + 3).map((key) => read(key)));
    const statements = await rest();
    expect(statements).toHaveLength(STATEMENTS);
    for (const { find } of statements) find("found");
    const [last, ...others] = await rest();
    expect(others).toEqual([]);
    expect(last?.keys).toHaveLength(3);
    last?.find("found");
    expect(await answers).toEqual(Array(STATEMENTS * KEYS + 3).fill("found"));
  });
});

describe("joint reads, when callers give up", () => {
  const reason = new Error("no longer of interest");

  it("go on for the others, and answer them", async () => {
    stopTheClock("setTimeout", "performance");
    const { read, next } = jointReads();
    const impatient = [caller(), caller()];
    const lost = impatient.map(({ scope }) => read("a", scope));
    void Promise.allSettled(lost);
    const answer = read("a");
    const { scope, find } = await next();
    impatient[0]?.giveUp(reason);
    vi.advanceTimersByTime(SLOW_MS);
    impatient[1]?.giveUp(reason);
    expect(scope.signal.aborted).toBe(false);
    find("found");
    expect(await answer).toBe("found");
  });

  it("call the statement off when the last one has", async () => {
    stopTheClock("setTimeout", "performance");
    const { read, next } = jointReads();
    const callers = [caller(), caller(), caller()];
    const reads = Promise.allSettled(callers.map(({ scope }) => read("a", scope)));
    const { scope, fail } = await next();
    callers[0]?.giveUp(new Error("at once"));
    vi.advanceTimersByTime(SLOW_MS);
    callers[1]?.giveUp(new Error("later"));
    expect(scope.signal.aborted).toBe(false);
    callers[2]?.giveUp(reason);
    expect(scope.signal.reason).toBe(reason);
    fail(new Error("cancelled"));
    const reasons = (await reads).map((end) => (end.status === "rejected" ? end.reason.message : "found"));
    expect(reasons).toEqual(["at once", "later", reason.message]);
  });

  it("call the statement off a little later if all have at once", async () => {
    const { read, next } = jointReads();
    const { scope: own, giveUp } = caller();
    const answer = Promise.allSettled([read("a", own)]);
    const { scope, fail } = await next();
    giveUp(reason);
    await new Promise((resolve) => scope.signal.addEventListener("abort", resolve));
    expect(scope.signal.reason).toBe(reason);
    fail(new Error("cancelled"));
    expect(await answer).toEqual([{ status: "rejected", reason }]);
  });

  it("leave out those who have while they waited, and fail them with their reason", async () => {
    stopTheClock("setTimeout", "performance");
    const { read, next, rest, occupy } = jointReads();
    const [first] = await occupy();
    const { scope, giveUp } = caller();
    const lost = Promise.allSettled([read("a", scope)]);
    const answer = read("b");
    giveUp(reason);
    vi.advanceTimersByTime(SLOW_MS);
    first?.find("found");
    const { keys, find } = await next();
    expect(keys).toEqual(["b"]);
    expect(await lost).toEqual([{ status: "rejected", reason }]);
    find("found");
    expect(await answer).toBe("found");
    expect(await rest()).toEqual([]);
  });

  it("send no statement if all have while they waited", async () => {
    stopTheClock("setTimeout", "performance");
    const { read, rest, occupy } = jointReads();
    const [first] = await occupy();
    const { scope, giveUp } = caller();
    const lost = Promise.allSettled([read("a", scope)]);
    giveUp(reason);
    vi.advanceTimersByTime(SLOW_MS);
    first?.find("found");
    expect(await lost).toEqual([{ status: "rejected", reason }]);
    expect((await rest()).map(({ keys }) => keys)).toEqual([]);
  });

  it("leave nothing with callers when the statement is over", async () => {
    const timers = stopTheClock("setTimeout", "performance");
    const { read, next } = jointReads();
    const { scope: own, giveUp } = caller(1000);
    const answer = read("a", own);
    const { scope, find } = await next();
    vi.advanceTimersByTime(SLOW_MS);
    find("found");
    await answer;
    await setImmediate();
    expect(timers()).toBe(0);
    giveUp(reason);
    expect(scope.signal.aborted).toBe(false);
  });
});

describe("joint reads, when callers have only so much time", () => {
  it("give the statement as much as the most patient of them has", async () => {
    stopTheClock("setTimeout", "performance");
    const { read, next } = jointReads();
    for (const time of [1000, 3000, 2000]) void read("a", caller(time).scope).catch(() => {});
    const { scope } = await next();
    expect(scope.timeoutMs?.()).toBe(3000);
    vi.advanceTimersByTime(500);
    expect(scope.timeoutMs?.()).toBe(2500);
  });

  it("give it all the time if one of them has", async () => {
    stopTheClock("setTimeout", "performance");
    const { read, next } = jointReads();
    void read("a", caller(1000).scope);
    void read("a");
    const { scope } = await next();
    expect(scope.timeoutMs?.()).toBeUndefined();
    vi.advanceTimersByTime(1_000_000);
    expect(scope.signal.aborted).toBe(false);
  });

  it("call it off as that of a database that does not answer when the time is over, though nobody has given up", async () => {
    stopTheClock("setTimeout", "performance");
    const { read, next } = jointReads();
    for (const time of [1000, 3000]) void read("a", caller(time).scope).catch(() => {});
    const { scope } = await next();
    vi.advanceTimersByTime(2999);
    expect(scope.signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(scope.signal.reason).toBeInstanceOf(StoreUnavailableError);
  });
});
