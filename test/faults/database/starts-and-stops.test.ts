import { randomUUID } from "node:crypto";
import { describe, expect, it, onTestFinished } from "vitest";
import { emptyDatabase, freshDatabase } from "../../support/database.ts";
import { type PostgresServer, startPostgres } from "../../support/postgres.ts";
import { ADMIN, collect, newUsers, streamOf, type TestServer, userClient } from "../../support/server.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import { EXPIRED, endOf, OK, UNAVAILABLE } from "./call-end.ts";
import { watchHealth } from "./health-watch.ts";
import { PERSONAL, SERVICE, serve, startService } from "./service.ts";

describe("a service that starts before PostgreSQL", () => {
  it("answers UNAVAILABLE while the port is closed, and serves as soon as PostgreSQL is there", async () => {
    const postgres = await startOwnPostgres();
    await postgres.stop("fast");
    const server = await startService(postgres.url());
    const health = watchHealth(server, "");

    await health.until("NOT_SERVING");
    await expectUnavailable(server);
    await postgres.start();
    await health.until("SERVING");
    await expectServing(server);
  });

  it("answers UNAVAILABLE while PostgreSQL is starting up, and serves as soon as it has started", async () => {
    const database = await freshDatabase();
    const proxy = await startTcpProxy(database);
    proxy.judge = ({ type }) => (type === "start-up" ? "refuse" : "pass");
    const server = await startService(proxy.url);
    const health = watchHealth(server, "");

    await health.until("NOT_SERVING");
    await expectUnavailable(server);
    proxy.judge = () => "pass";
    await health.until("SERVING");
    await expectServing(server);
  });
});

describe("a service whose connection breaks each time that it brings the tables up to date", () => {
  it("goes on, and serves when its connection holds", async () => {
    const proxy = await startTcpProxy(await emptyDatabase());
    const breaks = ["to_regclass", "pg_advisory_lock", "CREATE TABLE users", "COMMIT", "INSERT INTO secrets"];
    proxy.judge = ({ text }) => {
      if (breaks[0] === undefined || !text.includes(breaks[0])) return "pass";
      breaks.shift();
      return "cut";
    };
    await expectServing(await serve(proxy.url));
    expect(breaks).toEqual([]);
  });
});

describe("a service that finds PostgreSQL again, but cannot bring the tables up to date", () => {
  it("is NOT_SERVING until it can", async () => {
    const proxy = await startTcpProxy(await freshDatabase());
    const server = await serve(proxy.url);
    const health = watchHealth(server, "");
    // The connection that asks whether the database is there breaks, and then each one that is to look after the tables.
    proxy.judge = ({ text }) => (text.startsWith("SELECT\0") || text.includes("FROM migrations") ? "cut" : "pass");
    await health.until("NOT_SERVING");
    proxy.judge = () => "pass";
    await health.until("SERVING");
    await expectServing(server);
  });
});

describe("a service that PostgreSQL does not answer", () => {
  it.each(["to_regclass", "pg_advisory_lock", "INSERT INTO secrets"])(
    "can be stopped while it starts (%s)",
    async (statement) => {
      const proxy = await startTcpProxy(await emptyDatabase());
      const sent = Promise.withResolvers<void>();
      proxy.judge = ({ text }) => {
        if (!text.includes(statement)) return "pass";
        sent.resolve();
        return "hold";
      };
      const server = await startService(proxy.url);
      await sent.promise;
      await server.server.stop();
    },
  );

  it("can be stopped while it serves, though PostgreSQL closes no connection", async () => {
    const postgres = await startOwnPostgres();
    const server = await serve(postgres.url());
    await expectServing(server);
    postgres.freeze();
    await server.server.stop();
  });

  it("can be stopped while it serves, when the time of the calls is over that are open", async () => {
    const proxy = await startTcpProxy(await freshDatabase());
    const server = await serve(proxy.url);
    const client = userClient(server, SERVICE);
    const sent = Promise.withResolvers<void>();
    proxy.judge = ({ text }) => {
      // What asks whether the database is there is not what is waited for.
      if (!text.startsWith("SELECT\0")) sent.resolve();
      return "hold";
    };
    const user = { email: `${PERSONAL}@example.com`, name: PERSONAL };
    const call = endOf(client.createUser(user, { timeoutMs: 500 }));
    await sent.promise;
    await server.server.stop();
    expect(await call).toEqual(EXPIRED);
  });
});

async function startOwnPostgres(): Promise<PostgresServer> {
  const postgres = await startPostgres();
  onTestFinished(() => postgres.close());
  return postgres;
}

/** Every kind of call fails, and says that it may be tried again. */
async function expectUnavailable(server: TestServer): Promise<void> {
  for (const client of [userClient(server, ADMIN), userClient(server, SERVICE)]) {
    const calls = [
      client.getUser({ id: "somebody" }),
      client.batchGetUsers({ ids: ["somebody"] }),
      client.listUsersPage({}),
      collect(client.listUsers({})),
      collect(client.listUsers({ streamAll: true })),
      client.createUser({ email: `${PERSONAL}@example.com`, name: PERSONAL }),
      client.createUser({ email: `${PERSONAL}@example.com`, name: PERSONAL, requestId: randomUUID() }),
      client.createUsers(streamOf(...newUsers(3, PERSONAL))),
    ];
    expect(await Promise.all(calls.map(endOf))).toEqual(calls.map(() => UNAVAILABLE));
  }
}

async function expectServing(server: TestServer): Promise<void> {
  const client = userClient(server);
  expect(await endOf(client.createUsers(streamOf(...newUsers(3, PERSONAL))))).toEqual(OK);
  expect(await collect(client.listUsers({}))).toHaveLength(3);
}
