import { setImmediate } from "node:timers/promises";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { heaviest, LoadShedding, mostOf, type Sheddable } from "../../src/grpc/load-shedding.ts";
import { WaitingLine } from "../../src/grpc/waiting-line.ts";

describe("the connections that are shed", () => {
  it.each([
    { calls: [10, 10, 10, 10], wasted: 10, shed: [0] },
    { calls: [10, 10, 10, 10], wasted: 15, shed: [0, 1] },
    { calls: [10, 10, 10, 10], wasted: 40, shed: [0, 1] },
    { calls: [1, 90, 2, 3], wasted: 50, shed: [1] },
    { calls: [1, 1, 98, 0], wasted: 98, shed: [2] },
    { calls: [0, 50, 0], wasted: 50, shed: [] },
    { calls: [], wasted: 50, shed: [] },
  ])("call most: $shed of those with $calls calls, when $wasted were wasted", ({ calls, wasted, shed }) => {
    expect(
      heaviest(
        calls.map((count, connection) => ({ connection, calls: count })),
        wasted,
      ),
    ).toEqual(shed);
  });
});

describe("the connections that are shed while a turn goes on", () => {
  it.each([
    { calls: [10, 10, 10, 10], used: [], wasted: 40, shed: [0, 1] },
    { calls: [0, 20, 30, 0, 0], used: [0, 3], wasted: 50, shed: [2, 1] },
    { calls: [0, 20, 0], used: [], wasted: 20, shed: [] },
    // Those are refused who have been shed already.
    { calls: [1, 9, 0, 0], used: [2, 3], wasted: 41, shed: [] },
    { calls: [1, 9, 0, 0], used: [2, 3], wasted: 40, shed: [1, 0] },
  ])("are $shed, of those with $calls calls, or with some before: $used", ({ calls, used, wasted, shed }) => {
    const callers = calls.map((count, index) => ({
      connection: { index, used: count > 0 || used.includes(index) },
      calls: count,
    }));
    expect(mostOf(callers, wasted).map(({ index }) => index)).toEqual(shed);
  });
});

describe("LoadShedding", () => {
  class FakeConnection implements Sheddable {
    used = true;
    retiredAt: number | undefined;
    closedAt: undefined;
    calls = 0;
    readonly address: string;

    constructor(address: string) {
      this.address = address;
    }

    takeCalls(): number {
      const { calls } = this;
      this.calls = 0;
      return calls;
    }

    retire(_why: string, now: number): void {
      this.retiredAt = now;
    }
  }

  let skipped = 0;

  /** The clock goes on as ever, but for the time that a test skips. */
  beforeEach(() => {
    const now = performance.now.bind(performance);
    const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + skipped);
    onTestFinished(() => clock.mockRestore());
  });

  function skip(ms: number): void {
    skipped += ms;
  }

  /** Wastes calls of a connection within one turn of the event loop until something is shed, or for a while. */
  function drown(callsPerMs: number) {
    const [heavy, light] = [new FakeConnection("far"), new FakeConnection("near")];
    const connections = [heavy, light];
    let shed = 0;
    const shedding = new LoadShedding(
      () => connections,
      () => shed++,
    );
    for (let ms = 0; ms < 150 && shed === 0; ms++) {
      skip(1);
      light.calls = 1;
      for (let count = 0; count < callsPerMs; count++) {
        heavy.calls++;
        shedding.waste();
      }
    }
    return { shedding, connections, heavy, light };
  }

  /** Has timers fire only when time is skipped in turns. */
  function stopTimers(): void {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
  }

  /** Wastes calls in turns of the event loop, one after the other, of which each takes 10 ms. */
  async function drownInTurns(goesOn: (ms: number) => boolean, waste: () => void): Promise<void> {
    for (let ms = 0; goesOn(ms); ms += 10) {
      waste();
      skip(10);
      vi.advanceTimersByTime(10);
      await setImmediate();
    }
  }

  it("sheds the connection that calls most when much time is wasted, and lets newcomers in when there is time", async () => {
    const { shedding, heavy, light } = drown(50);
    expect({ heavy: heavy.retiredAt, light: light.retiredAt }).toEqual({ heavy: expect.any(Number), light: undefined });

    const entered: number[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const newcomers = [1, 2, 3].map((number) => ({
      enter: () => entered.push(number) === 4 && resolve(),
      turnAway: () => entered.push(-number),
    }));
    for (const newcomer of newcomers) shedding.receive("far", newcomer);
    expect(entered).toEqual([]);
    // Those whose like have not been shed do not wait.
    shedding.receive("elsewhere", { enter: () => entered.push(0), turnAway: () => {} });
    expect(entered).toEqual([0]);
    await promise;
    expect(entered).toEqual([0, 1, 2, 3]);
    shedding.receive("far", { enter: () => entered.push(4), turnAway: () => {} });
    expect(entered).toEqual([0, 1, 2, 3, 4]);
  });

  it("sheds half of those that are left, again and again, while a turn goes on and calls are wasted, but one", () => {
    const connections = Array.from({ length: 16 }, () => new FakeConnection("far"));
    const shedding = new LoadShedding(
      () => connections,
      () => {},
    );
    const left = () => connections.filter(({ retiredAt }) => retiredAt === undefined);
    const counts = new Set<number>();
    for (let ms = 0; left().length > 1 && ms < 5000; ms++) {
      counts.add(left().length);
      skip(1);
      for (const connection of left()) connection.calls += 64;
      for (let count = 64 * left().length; count > 0; count--) shedding.waste();
    }
    expect([...counts]).toEqual([16, 8, 4, 2]);
    expect(left()).toHaveLength(1);
    shedding.close();
  });

  it("leaves those alone who hardly call, when those who call most go on in turns after that in which some are shed", async () => {
    stopTimers();
    const quiet = Array.from({ length: 20 }, () => new FakeConnection("near"));
    const connections = [new FakeConnection("far"), new FakeConnection("far"), ...quiet];
    const [first, second] = connections;
    const shedding = new LoadShedding(
      () => connections,
      () => {},
    );
    await drownInTurns(
      (ms) => ms < 400,
      () => {
        for (const loud of [first, second]) if (loud?.retiredAt === undefined && loud !== undefined) loud.calls += 200;
        for (let count = 0; count < 400; count++) shedding.waste();
      },
    );
    expect(first?.retiredAt).toBeDefined();
    expect(quiet.filter(({ retiredAt }) => retiredAt !== undefined)).toEqual([]);
    shedding.close();
  });

  it("lets newcomers in one by one when nobody can be shed for a second, as one connection calls alone", async () => {
    stopTimers();
    const { shedding, connections } = drown(50);
    const alone = new FakeConnection("far");
    connections.splice(0, connections.length, alone);
    const entered: number[] = [];
    for (const number of [1, 2]) shedding.receive("far", { enter: () => entered.push(number), turnAway: () => {} });
    await drownInTurns(
      (ms) => entered.length === 0 && ms < 5000,
      () => {
        for (let count = 0; count < 1000; count++) {
          alone.calls++;
          shedding.waste();
        }
      },
    );
    expect(entered).toEqual([1]);
    shedding.close();
  });

  it("leaves all connections alone while little time is wasted", () => {
    const { shedding, heavy } = drown(4);
    expect(heavy.retiredAt).toBeUndefined();
    let entered = false;
    shedding.receive("far", { enter: () => (entered = true), turnAway: () => {} });
    expect(entered).toBe(true);
    shedding.close();
  });

  it("turns away who waits when the server stops", () => {
    const { shedding } = drown(50);
    const told: string[] = [];
    shedding.receive("far", { enter: () => told.push("in"), turnAway: () => told.push("away") });
    shedding.close();
    expect(told).toEqual(["away"]);
  });
});

describe("WaitingLine", () => {
  it("turns away who has waited for 10 seconds, and who is the 1001st", () => {
    const line = new WaitingLine();
    const away: number[] = [];
    const join = (number: number, now: number) =>
      line.join({ enter: () => {}, turnAway: () => away.push(number) }, now);
    join(1, 0);
    for (let number = 2; number <= 1001; number++) join(number, 5000);
    expect(away).toEqual([1001]);
    line.turnAwayOverdue(9999);
    expect(away).toEqual([1001]);
    line.turnAwayOverdue(10_000);
    expect(away).toEqual([1001, 1]);
    expect(line.length).toBe(999);
  });
});
