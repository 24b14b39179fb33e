import { describe, expect, it } from "vitest";
import { freshDatabase, query } from "../../support/database.ts";
import { FULL } from "../../support/full.ts";
import { ADMIN, collect, newUsers, streamOf, type TestServer, userClient } from "../../support/server.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import { CANCELLED, type CallEnd, EXPIRED, endOf, OK } from "./call-end.ts";
import { PERSONAL, SERVICE, serve } from "./service.ts";
import { holdLock, LOCKS, untilIdle, untilWaiting } from "./statements.ts";

const ADA = { email: `${PERSONAL}-ada@example.com`, name: `${PERSONAL} Ada` };
const EVE = { email: `${PERSONAL}-eve@example.com`, name: `${PERSONAL} Eve` };

/** How a client gives up calls that wait, and how they end then, for the client and in the log. */
interface GivingUp {
  readonly how: string;
  readonly end: CallEnd;
  readonly logged: string;
  /** What the calls are made with, and what gives them up, unless they run out of time by themselves. */
  limit(): { readonly options: { readonly timeoutMs: number; readonly signal: AbortSignal }; giveUp(): void };
}

const GIVING_UP: readonly GivingUp[] = [
  {
    how: "are cancelled",
    end: CANCELLED,
    logged: "CANCELLED",
    limit() {
      const controller = new AbortController();
      return { options: { timeoutMs: 60_000, signal: controller.signal }, giveUp: () => controller.abort() };
    },
  },
  {
    how: "run out of time",
    end: EXPIRED,
    logged: "DEADLINE_EXCEEDED",
    limit: () => ({ options: { timeoutMs: 1200, signal: new AbortController().signal }, giveUp() {} }),
  },
];

describe.each(GIVING_UP)("calls that $how while their statements wait for a lock", ({ end, logged, limit }) => {
  it("leave no statement running, and nothing is written later", async () => {
    const { database, server } = await start();
    const lock = await holdLock(database, LOCKS.reads);
    const { options, giveUp } = limit();
    const client = userClient(server, SERVICE);

    const calls = [
      collect(client.listUsers({ streamAll: true }, options)),
      collect(client.listUsers({ pageSize: 5 }, options)),
      client.listUsersPage({}, options),
      client.getUser({ id: "somebody" }, options),
      client.batchGetUsers({ ids: ["somebody", "else"] }, options),
      client.createUser(EVE, options),
      client.createUsers(streamOf(...newUsers(3, PERSONAL)), options),
    ].map(endOf);
    await untilWaiting(database, calls.length);
    giveUp();
    expect(await Promise.all(calls)).toEqual(calls.map(() => end));
    await untilIdle(database);
    await lock.release();
    expect(await namesIn(database)).toEqual([ADA.name]);
  });

  it.runIf(FULL || logged === "CANCELLED")(
    "are not committed if COMMIT has begun, and their connection is used again",
    async () => {
      const { database, server } = await start({ DATABASE_POOL_SIZE: "1" });
      const lock = await holdLock(database, LOCKS.commits);
      const { options, giveUp } = limit();
      const client = userClient(server, SERVICE);

      const call = endOf(client.createUser(EVE, options));
      const [commit] = await untilWaiting(database, 1);
      expect(commit?.query).toContain("COMMIT");
      giveUp();
      expect(await call).toEqual(end);
      expect((await server.logs.waitForCalls(2, "/CreateUser")).map(({ code }) => code)).toEqual(["OK", logged]);
      await untilIdle(database);

      const next = endOf(client.createUser(EVE));
      const [nextCommit] = await untilWaiting(database, 1);
      expect(nextCommit?.pid, "the connection of the next call").toBe(commit?.pid);
      await lock.release();
      expect(await next).toEqual(OK);
      expect(await namesIn(database)).toEqual([ADA.name, EVE.name]);
    },
  );
});

describe("calls that are cancelled while their statements wait for a lock", () => {
  it("leave no statement running if they change or delete a user, who stays as they were", async () => {
    const { database, server, id } = await start();
    const lock = await holdLock(database, LOCKS.writes);
    const controller = new AbortController();
    const client = userClient(server, ADMIN);

    const calls = [
      client.updateUser({ user: { id, name: PERSONAL } }, controller),
      client.deleteUser({ id }, controller),
    ].map(endOf);
    await untilWaiting(database, calls.length);
    controller.abort();
    expect(await Promise.all(calls)).toEqual([CANCELLED, CANCELLED]);
    await untilIdle(database);
    await lock.release();
    expect(await namesIn(database)).toEqual([ADA.name]);
  });
});

describe("calls that are cancelled while their BEGIN is on its way", () => {
  // Were the next statement on its way as well, it would commit by itself.
  it("write nothing when it arrives", async () => {
    const database = await freshDatabase();
    const proxy = await startTcpProxy(database);
    const server = await serve(proxy.url, { DATABASE_POOL_SIZE: "1" });
    const client = userClient(server, SERVICE);
    await client.createUser(ADA);
    const began = Promise.withResolvers<void>();
    proxy.judge = ({ text }) => {
      if (!text.includes("BEGIN")) return "pass";
      began.resolve();
      return "hold";
    };

    const controller = new AbortController();
    const call = endOf(client.createUser(EVE, controller));
    await began.promise;
    controller.abort();
    expect(await call).toEqual(CANCELLED);
    proxy.judge = () => "pass";
    proxy.release();
    expect(await endOf(client.listUsersPage({}))).toEqual(OK);
    await untilIdle(database);
    expect(await namesIn(database)).toEqual([ADA.name]);
  });
});

describe("statements that the service cannot stop, because it can make no connection", () => {
  it("are stopped by PostgreSQL when the time of their calls is over, and nothing is written later", async () => {
    await Promise.all(Object.values(LOCKS).map(expireBehind));
  });
});

/** Lets a call run out of time that waits for a lock, and expects that PostgreSQL itself puts an end to it. */
async function expireBehind(statement: string): Promise<void> {
  const database = await freshDatabase();
  const proxy = await startTcpProxy(database);
  const server = await serve(proxy.url);
  const lock = await holdLock(database, statement);
  const client = userClient(server, SERVICE);

  const call = endOf(client.createUser(EVE, { timeoutMs: 1000 }));
  await untilWaiting(database, 1);
  proxy.refuse();
  expect(await call).toEqual(EXPIRED);
  await untilIdle(database);
  await lock.release();
  expect(await namesIn(database)).toEqual([]);

  await proxy.listen();
  expect(await endOf(client.createUser(EVE))).toEqual(OK);
}

/** A server with one user, Ada. */
async function start(
  environment?: Record<string, string>,
): Promise<{ database: string; server: TestServer; id: string }> {
  const database = await freshDatabase();
  const server = await serve(database, environment);
  const { user } = await userClient(server).createUser(ADA);
  return { database, server, id: user?.id ?? expect.fail("there is no user") };
}

/** The names of the users, in the order of creation. */
async function namesIn(database: string): Promise<string[]> {
  const users = await query<{ name: string }>(database, "SELECT name FROM users ORDER BY id");
  return users.map(({ name }) => name);
}
