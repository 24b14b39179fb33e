import { once } from "node:events";
import type { ClientHttp2Stream } from "node:http2";
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { WatchUsersRequestSchema } from "../../src/gen/user/v1/watch_pb.ts";
import { freshDatabase } from "../support/database.ts";
import { FULL } from "../support/full.ts";
import { servingTestServer, streamOf } from "../support/server.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { watchHealth } from "./database/health-watch.ts";
import { frame, rawCall } from "./raw-call.ts";
import {
  disconnect,
  growthOf,
  PATIENCE,
  type StallingClient,
  startClients,
  WINDOW,
  waitAWhile,
} from "./stalling-clients.ts";

const WATCHERS = FULL ? 1000 : 9;
/** How many there are the first time in the full form, when the server gets what it needs at all. */
const FIRST_WATCHERS = WATCHERS / 10;
const CONNECTIONS = FULL ? 10 : 3;
/** So many changes go on while all of them stall. */
const CHANGES = FULL ? 5000 : 50;
const USERS = FULL ? 500 : 20;
/** Long enough that some hundred events are more than what a client takes in without reading. */
const NAME = "x".repeat(500);
/** In the short form, some dozen events are. */
const BIO = FULL ? "" : "x".repeat(4000);
const WRITERS = 16;
/** So many changes come before: a server that serves has more room than one that has just been started. */
const WARM_UP = 20_000;
const TIMEOUT_MS = FULL ? 1_800_000 : 60_000;
const KIB_PER_MIB = 1024;

const KINDS = [
  { how: "with a snapshot", snapshot: true },
  { how: "without a snapshot", snapshot: false },
];

describe.each([
  { where: "in memory", environment: async () => ({}) },
  { where: "on PostgreSQL", environment: async () => ({ DATABASE_URL: await freshDatabase() }) },
])("watchers who never read, $where", ({ environment }) => {
  it.runIf(!FULL)("are served on, delay nobody, and leave nothing behind", { timeout: TIMEOUT_MS }, async () => {
    const server = await servingTestServer({ environment: { AUTH: "none", ...PATIENCE, ...(await environment()) } });
    const users = new ChangingUsers(server.port);
    await users.create();
    disconnect(await stallWatchers(server, users, { count: WATCHERS, snapshot: false }));
    await left(server, WATCHERS);
    expect(server.server.openCalls).toBe(0);
    await users.change(1);
  });

  it.runIf(FULL).each(KINDS)(
    "cost the server little memory, and leave nothing behind, $how",
    { timeout: TIMEOUT_MS },
    async ({ snapshot }) => {
      const server = await startServerProcess({ AUTH: "none", ...PATIENCE, ...(await environment()) });
      await watchHealth(server, "").until("SERVING");
      const users = new ChangingUsers(server.port);
      await users.create();
      await users.change(WARM_UP);
      // What the server needs the first time is not what is measured here.
      disconnect(await stallWatchers(server, users, { count: FIRST_WATCHERS, snapshot }));
      await left(server, FIRST_WATCHERS);

      const before = await server.memoryInUse();
      const growth = await growthOf(server, () => stallWatchers(server, users, { count: WATCHERS, snapshot }));
      await left(server, FIRST_WATCHERS + WATCHERS);
      const remaining = ((await server.memoryInUse()) - before) / KIB_PER_MIB ** 2;

      // It has been serving others all the time, and does.
      await users.change(1);
      const kib = (mib: number) => (mib * KIB_PER_MIB) / WATCHERS;
      const perWatcher = { residentKiB: kib(growth.resident), inUseKiB: kib(growth.inUse) };
      console.info("growth of the server's memory in MiB:", {
        snapshot,
        ...growth,
        remaining,
        kibPerWatcher: perWatcher,
      });
      expect(growth.resident).toBeLessThan(64);
      expect(growth.inUse).toBeLessThan(64);
      expect(remaining).toBeLessThan(8);
    },
  );
});

/** A server of either form. */
type Watched = Pick<ServerProcess, "port" | "logs">;

/** Lets watchers begin who never read, makes changes until none can be sent more, and then many more changes. */
async function stallWatchers(
  server: Watched,
  users: ChangingUsers,
  { count, snapshot }: { readonly count: number; readonly snapshot: boolean },
): Promise<readonly StallingClient[]> {
  const clients = await startClients(server.port, CONNECTIONS);
  const streams: ClientHttp2Stream[] = [];
  while (streams.length < count) {
    // Some at a time, as each of them needs the database to begin.
    const begun = clients.map((client) => watch(client, snapshot));
    await Promise.all(begun.map((stream) => once(stream, "response")));
    streams.push(...begun);
  }
  while (streams.some(({ readableLength }) => readableLength < WINDOW)) await users.change(WRITERS);
  await users.change(CHANGES);
  for (const { session } of clients) await waitAWhile(session);
  for (const stream of streams) expect(stream.destroyed, "a watcher who was ended").toBe(false);
  return clients;
}

function watch({ session, metadata }: StallingClient, snapshot: boolean): ClientHttp2Stream {
  const stream = rawCall(session, "/user.v1.UserService/WatchUsers", metadata);
  stream.end(frame(WatchUsersRequestSchema, { snapshot, heartbeatInterval: { nanos: 100_000_000 } }));
  return stream;
}

/** Waits until the server knows that so many watchers have gone. */
async function left(server: Watched, count: number): Promise<void> {
  const lines = await server.logs.waitForCalls(count, "/WatchUsers");
  expect(lines.filter(({ code }) => code === "CANCELLED")).toHaveLength(count);
}

/** Users who are changed again and again. */
class ChangingUsers {
  readonly #client: Client<typeof UserService>;
  #ids: readonly string[] = [];
  #changes = 0;

  constructor(port: number) {
    this.#client = createClient(UserService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` }));
  }

  async create(): Promise<void> {
    const users = Array.from({ length: USERS }, (_, index) => ({
      email: `user${index}@example.com`,
      name: NAME,
      profile: { bio: BIO },
    }));
    this.#ids = (await this.#client.createUsers(streamOf(...users))).userIds;
  }

  /** Makes so many changes, some at a time. */
  async change(count: number): Promise<void> {
    const end = this.#changes + count;
    const write = async () => {
      while (this.#changes < end) {
        const change = this.#changes++;
        const id = this.#ids[change % USERS] ?? expect.fail("there is no user");
        await this.#client.updateUser({ user: { id, name: `${NAME} ${change}` } });
      }
    };
    await Promise.all(Array.from({ length: WRITERS }, write));
  }
}
