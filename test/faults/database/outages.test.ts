import { describe, expect, it, onTestFinished } from "vitest";
import { createEmptyDatabase, query } from "../../support/database.ts";
import { FULL } from "../../support/full.ts";
import { startPostgres } from "../../support/postgres.ts";
import { startProcess } from "../../support/process.ts";
import { chooseSeed, Random } from "../../support/random.ts";
import { JWT_SECRET, startTestServer } from "../../support/server.ts";
import { EXPIRED, OK, OVERLOADED, UNAVAILABLE, UNKNOWN } from "./call-end.ts";
import { FAULTS, isSuccess, type Scene } from "./faults.ts";
import { watchHealth } from "./health-watch.ts";
import { Load } from "./load.ts";
import type { EndedCall } from "./load-client.ts";
import { countSockets } from "./process-sockets.ts";
import { expectNothingPersonal } from "./service.ts";
import { untilIdle } from "./statements.ts";
import { expectAllCreated, expectTruth } from "./truth.ts";

/** More than there are connections. */
const CLIENTS = FULL ? 30 : 6;
const POOL_SIZE = 5;
/** The connections that watch over the database, and that hear of other replicas. */
const WATCHING = 2;
const ROUNDS = FULL ? 10 : 1;
/** Long enough for a machine that is busy with other tests. */
const TIMEOUT_MS = FULL ? 1_800_000 : 60_000;

/** Every call ends within this time, or within its own if that is less, in milliseconds; and all succeed again so soon. */
const LONGEST_CALL_MS = 2000;
const LONGEST_RECOVERY_MS = 3000;

/** What the timers and the load of client and server may add to a deadline, in milliseconds. */
const LATENESS_MS = 100;

/** A fault that is over: all clients have been served again. */
interface Outage {
  readonly fault: string;
  readonly beganAt: number;
  readonly endedAt: number;
  readonly recoveryMs: number;
}

describe("calls while PostgreSQL crashes, stops, freezes, has no connection left, or lets all of them wait", () => {
  it("end in time, tell the truth, and leave nothing behind", { timeout: TIMEOUT_MS }, async () => {
    const seed = chooseSeed();
    const random = new Random(seed);
    const postgres = await startPostgres({ max_connections: "20" });
    onTestFinished(() => postgres.close());
    const { url: database } = await createEmptyDatabase(postgres.url());
    const environment = { DATABASE_URL: database, DATABASE_POOL_SIZE: String(POOL_SIZE) };
    const service = await (FULL ? startApart(environment) : startHere(environment));
    await watchHealth(service, "").until("SERVING");
    const idleSockets = await service.sockets();

    const load = new Load(service.port, CLIENTS, random);
    onTestFinished(() => load.disconnect());
    const outages = await strike({ postgres, database, load }, random);
    await load.stop();
    const { calls } = load;
    if (FULL) report(outages, calls);

    const context = `SEED=${seed}`;
    service.expectRunning();
    const wrong = calls.filter((call) => !isAllowed(call));
    expect(wrong, context).toEqual([]);
    await untilIdle(database);
    await expectTruth(load, database);
    await load.repeat();
    await expectAllCreated(load, database);
    load.disconnect();
    expect((await query(database, CONNECTIONS)).length, "connections").toBeLessThanOrEqual(POOL_SIZE + WATCHING);
    await expect.poll(() => service.sockets()).toBeLessThanOrEqual(idleSockets + POOL_SIZE);
    expectNothingPersonal(service.lines(), database);
    if (!FULL) return;
    expect(calls.filter(isLate), context).toEqual([]);
    expect(outages.filter(({ recoveryMs }) => recoveryMs > LONGEST_RECOVERY_MS)).toEqual([]);
  });
});

/** The service that the faults happen to. */
interface Service {
  readonly port: number;
  /** How many sockets it has open; 0 where they cannot be told from those of others. */
  sockets(): Promise<number>;
  /** Fails if it has ended by itself. */
  expectRunning(): void;
  /** All that it has written. */
  lines(): string[];
}

/** Starts a service in a process of its own, as it runs in production. */
async function startApart(environment: Record<string, string>): Promise<Service> {
  const service = startProcess({ ...environment, JWT_SECRET });
  return {
    port: await service.port,
    sockets: () => countSockets(service.child.pid ?? 0),
    expectRunning: () => expect(service.child.exitCode, service.stderr()).toBeNull(),
    lines: () => [...service.stdout, service.stderr()],
  };
}

/** Starts a service in this process, which takes less time. What would end a process fails the test here. */
async function startHere(environment: Record<string, string>): Promise<Service> {
  const { port, logs } = await startTestServer({ environment });
  return { port, sockets: async () => 0, expectRunning() {}, lines: () => logs.texts };
}

const CONNECTIONS =
  "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'user-service'";

/** Lets every fault happen, ROUNDS times, in orders that the seed decides. */
async function strike(scene: Scene, random: Random): Promise<Outage[]> {
  const { load } = scene;
  const outages: Outage[] = [];
  await load.until(isSuccess);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [fault, happen] of shuffled(Object.entries(FAULTS), random)) {
      const beganAt = performance.now();
      await happen(scene);
      const wellAt = performance.now();
      await load.until(isSuccess);
      const endedAt = performance.now();
      outages.push({ fault, beganAt, endedAt, recoveryMs: endedAt - wellAt });
    }
  }
  return outages;
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const places = items.map((item) => ({ item, place: random.next() }));
  return places.toSorted((one, other) => one.place - other.place).map(({ item }) => item);
}

/** Whether a call has ended in one of the ways in which calls may end. */
function isAllowed({ method, end }: EndedCall): boolean {
  const isRead = method === "getUser" || method === "listUsersPage";
  const allowed = [OK, UNAVAILABLE, OVERLOADED, EXPIRED, ...(isRead ? [] : [UNKNOWN])];
  return allowed.some(({ code, reason, retry }) => code === end.code && reason === end.reason && retry === end.retry);
}

function isLate({ durationMs, timeoutMs }: EndedCall): boolean {
  return durationMs > Math.min(LONGEST_CALL_MS, timeoutMs + LATENESS_MS);
}

/** Prints how many calls ended how during each fault, and how long they took at most. */
function report(outages: readonly Outage[], calls: readonly EndedCall[]): void {
  for (const [fault, times] of Map.groupBy(outages, (outage) => outage.fault)) {
    const during = calls.filter(({ beganAt, durationMs }) => {
      const endedAt = beganAt + durationMs;
      return times.some((time) => time.beganAt < endedAt && endedAt < time.endedAt);
    });
    const ends = Map.groupBy(during, ({ method, end }) => `${method} ${end.code}`);
    console.info(`${fault}: recovery ${longest(times.map(({ recoveryMs }) => recoveryMs))}`);
    for (const [end, group] of ends) {
      console.info(`  ${end}: ${group.length}, ${longest(group.map(({ durationMs }) => durationMs))}`);
    }
  }
}

function longest(times: readonly number[]): string {
  return `at most ${Math.max(...times).toFixed()} ms`;
}
