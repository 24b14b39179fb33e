import { setTimeout } from "node:timers/promises";
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { freshDatabase, query } from "../support/database.ts";
import { FULL } from "../support/full.ts";
import { type ServiceProcess, startProcess } from "../support/process.ts";
import { chooseSeed, Random } from "../support/random.ts";
import { newUsers, servingTestServer, streamOf, userClient } from "../support/server.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { watchHealth } from "./database/health-watch.ts";
import { FollowingWatcher, Told } from "./following-watcher.ts";

const WRITERS = FULL ? 8 : 4;
const WATCHERS = FULL ? 20 : 3;
const KILLS = FULL ? 5 : 1;

/** Each writer creates so many users at a time, changes some, and deletes fewer. */
const BATCH = FULL ? 200 : 20;
const UPDATES = BATCH / 10;
const DELETIONS = BATCH / 20;
const PER_ROUND = BATCH + UPDATES + DELETIONS;

const CHANGES = FULL ? 200_000 : 150;
/** Where notifications are missing, what the poll finds is what takes time. */
const CHANGES_WITHOUT_NEWS = FULL ? 50_000 : 100;

/** How long who writes rests after a failure. */
const REST_MS = 50;
const TIMEOUT_MS = FULL ? 1_800_000 : 60_000;

describe("watchers who come and go", () => {
  it("are told every change by replicas that are killed", { timeout: TIMEOUT_MS }, async () => {
    const url = await freshDatabase();
    const first = await Replica.start(url);
    const second = FULL ? await Replica.start(url) : undefined;
    const replicas = [first, second ?? (await startHere(url))] as const;
    await watchWrites(url, replicas, CHANGES, async (told, random) => {
      for (let kill = 1; kill <= KILLS; kill++) {
        await told.until(Math.floor((CHANGES * kill) / (KILLS + 1)));
        await (second === undefined ? first : random.pick([first, second])).killAndRestart();
      }
    });
  });

  it("are told every change though a replica neither hears nor tells of any", { timeout: TIMEOUT_MS }, async () => {
    const url = await freshDatabase();
    const proxy = await startTcpProxy(url);
    let cuts = 0;
    proxy.judge = ({ text }) => {
      if (!text.includes("LISTEN")) return "pass";
      cuts++;
      return "cut";
    };
    const start = FULL ? Replica.start : startHere;
    const replicas = [await start(url), await start(proxy.url)] as const;
    await watchWrites(url, replicas, CHANGES_WITHOUT_NEWS);
    expect(cuts).toBeGreaterThan(1);
  });

  it.runIf(FULL)(
    "are told every change though each notification breaks its connection",
    { timeout: TIMEOUT_MS },
    async () => {
      const url = await freshDatabase();
      const proxy = await startTcpProxy(url);
      let cuts = 0;
      proxy.judge = ({ text }) => {
        if (!text.includes("pg_notify")) return "pass";
        cuts++;
        return "cut";
      };
      const replicas = [await Replica.start(proxy.url), await Replica.start(proxy.url)] as const;
      await watchWrites(url, replicas, CHANGES_WITHOUT_NEWS);
      expect(cuts).toBeGreaterThan(1);
    },
  );
});

/** Has watchers follow what writers do, and expects that each of them is told all of it, in order. */
async function watchWrites(
  url: string,
  replicas: readonly [Called, Called],
  changes: number,
  meanwhile: (told: Told, random: Random) => Promise<void> = async () => {},
): Promise<void> {
  const seed = chooseSeed();
  const random = new Random(seed);
  const told = new Told();
  const replica = () => random.pick([...replicas]).client;
  const watchers = Array.from({ length: WATCHERS }, () => new FollowingWatcher(told, random, changes / 4));
  // Everybody begins before anything has happened.
  await Promise.all(watchers.map((watcher) => watcher.run(replica, () => true)));

  let last = Number.POSITIVE_INFINITY;
  const watching = watchers.map((watcher) => watcher.run(replica, (revision) => revision >= last));
  const rounds = Math.ceil(changes / WRITERS / PER_ROUND);
  const writing = Array.from({ length: WRITERS }, (_, writer) => write(writer, rounds, replica));
  const failing = Promise.all([...watching, ...writing]);
  failing.catch(() => {});
  await Promise.race([Promise.all([...writing, meanwhile(told, random)]), failing]);
  const rows = await query<{ revision: string; what: string }>(
    url,
    "SELECT revision, kind || ' ' || user_id AS what FROM changes ORDER BY revision",
  );
  last = Number(rows.at(-1)?.revision);
  await failing;

  const context = `SEED=${seed}`;
  const calls = watchers.reduce((sum, watcher) => sum + watcher.calls, 0);
  const failures = watchers.reduce((sum, watcher) => sum + watcher.failures, 0);
  if (FULL) console.info({ changes: rows.length, calls, failures });
  expect(rows.length, context).toBeGreaterThanOrEqual(changes);
  expect(calls, context).toBeGreaterThan(2 * WATCHERS);
  const expected = rows.map(({ revision }) => Number(revision));
  for (const { revisions } of watchers) expect(isSame(revisions, expected), context).toBe(true);
  const wrong = rows.filter(({ revision, what }) => told.changes.get(Number(revision)) !== what);
  expect(wrong, context).toEqual([]);
  expect(told.changes.size, context).toBe(rows.length);
}

/** Creates, changes and deletes users in so many rounds, each of which is made until it succeeds. */
async function write(writer: number, rounds: number, replica: () => Client<typeof UserService>): Promise<void> {
  for (let round = 0, attempt = 0; round < rounds; attempt++) {
    try {
      const client = replica();
      const users = newUsers(BATCH, `writer${writer}-${round}-${attempt}-`);
      const { userIds } = await client.createUsers(streamOf(...users));
      for (const id of userIds.slice(0, UPDATES)) await client.updateUser({ user: { id, age: 36 } });
      for (const id of userIds.slice(-DELETIONS)) await client.deleteUser({ id });
      round++;
    } catch {
      await setTimeout(REST_MS);
    }
  }
}

function isSame(some: readonly number[], others: readonly number[]): boolean {
  return some.length === others.length && some.every((number, index) => number === others[index]);
}

/** A replica as its clients see it. */
interface Called {
  readonly client: Client<typeof UserService>;
}

/** Starts a replica in this process, which takes less time. */
async function startHere(url: string): Promise<Called> {
  return { client: userClient(await servingTestServer({ environment: { AUTH: "none", DATABASE_URL: url } }), null) };
}

/** A server process, which may be another one after a while. */
class Replica implements Called {
  readonly #url: string;
  #running: { process: ServiceProcess; client: Client<typeof UserService> } | undefined;

  private constructor(url: string) {
    this.#url = url;
  }

  static async start(url: string): Promise<Replica> {
    const replica = new Replica(url);
    await replica.#start();
    return replica;
  }

  /** A client of the process that runs, or has run until now. */
  get client(): Client<typeof UserService> {
    return this.#running?.client ?? expect.fail("the replica has not been started");
  }

  async killAndRestart(): Promise<void> {
    this.#running?.process.child.kill("SIGKILL");
    expect(await this.#running?.process.exit).toBe("SIGKILL");
    await this.#start();
  }

  async #start(): Promise<void> {
    const process = startProcess({ AUTH: "none", DATABASE_URL: this.#url, LOG_LEVEL: "info" });
    const port = await process.port;
    await watchHealth({ port }, "").until("SERVING");
    const client = createClient(UserService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` }));
    this.#running = { process, client };
  }
}
