import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { freshDatabase, query } from "../support/database.ts";
import { newUsers, servingTestServer, startTestServer, streamOf, userClient } from "../support/server.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { createUser, updateUser } from "./users.ts";
import { CREATED, DEPLOYMENTS, HEARTBEAT, SNAPSHOT, startWatch, storyOf, UPDATED, Watch } from "./watch.ts";

const EXPIRED = { code: "OutOfRange", reason: "CHANGES_EXPIRED" };
const STOPPING = { code: "Unavailable", reason: "SERVER_STOPPING" };
/** Of what is found by looking from time to time. */
const PATIENCE = { timeout: 40_000 };

const LOST = { code: "Unavailable", reason: "STORE_UNAVAILABLE", retry: true };

describe("WatchUsers fails", () => {
  it.each([
    { who: "a user", principal: { id: "ada", role: "user" } as const, code: "PermissionDenied" },
    { who: "nobody known", principal: null, code: "Unauthenticated" },
  ])("with $code for $who", async ({ principal, code }) => {
    const server = await startTestServer();
    for (const request of [{}, { snapshot: true }, { resumeToken: "forged" }]) {
      const watch = new Watch(userClient(server, principal), request);
      expect(await watch.failure()).toMatchObject({ code, token: null });
      expect(watch.events).toEqual([]);
    }
  });

  it("for no service", async () => {
    const server = await startTestServer();
    const watch = new Watch(userClient(server, { id: "indexer", role: "service" }));
    expect(await watch.next()).toMatchObject({ type: HEARTBEAT });
  });

  it.each([
    { interval: { nanos: 99_999_999 }, violation: "DURATION_GTE_LTE" },
    { interval: { seconds: 300n, nanos: 1 }, violation: "DURATION_GTE_LTE" },
    { interval: { seconds: -1n }, violation: "DURATION_GTE_LTE" },
    { interval: {}, violation: "DURATION_GTE_LTE" },
  ])("with INVALID_ARGUMENT for a heartbeat interval outside its limits", async ({ interval, violation }) => {
    const client = userClient(await startTestServer());
    expect(await new Watch(client, { heartbeatInterval: interval }).failure()).toMatchObject({
      code: "InvalidArgument",
      violations: [`heartbeat_interval: ${violation}`],
    });
  });

  it.each([{ nanos: 100_000_000 }, { seconds: 300n }])("for no heartbeat interval within them", async (interval) => {
    const client = userClient(await startTestServer());
    expect(await new Watch(client, { heartbeatInterval: interval }).next()).toMatchObject({ type: HEARTBEAT });
  });

  it("with INVALID_ARGUMENT for tokens that are forged, of another service, or not for watching", async () => {
    const [server, other] = [await startTestServer(), await startTestServer()];
    const client = userClient(server);
    await client.createUsers(streamOf(...newUsers(2)));
    const { token: foreign } = await startWatch(other);
    const { token } = await startWatch(server);
    const { nextPageToken } = await client.listUsersPage({ pageSize: 1 });
    for (const resumeToken of ["forged", foreign, nextPageToken, token.slice(1), `${token}A`, token.toLowerCase()]) {
      expect(await new Watch(client, { resumeToken }).failure()).toMatchObject({
        code: "InvalidArgument",
        message: "invalid request: resume_token must be a token that came with an earlier event of this service",
        violations: ["resume_token: RESUME_TOKEN_INVALID"],
      });
    }
    expect(await new Watch(client, { resumeToken: "x".repeat(1025) }).failure()).toMatchObject({
      code: "InvalidArgument",
      violations: ["resume_token: STRING_MAX_BYTES"],
    });
  });

  it("with INVALID_ARGUMENT for tokens that were made on another database", async () => {
    const servers = await Promise.all(
      [freshDatabase(), freshDatabase()].map(async (url) =>
        servingTestServer({
          environment: { DATABASE_URL: await url, PAGE_TOKEN_KEY: "the same key for both of them!!!!" },
        }),
      ),
    );
    const [one = expect.fail(), other = expect.fail()] = servers;
    const { token } = await startWatch(one);
    expect(await new Watch(userClient(other), { resumeToken: token }).failure()).toMatchObject({
      violations: ["resume_token: RESUME_TOKEN_INVALID"],
    });
  });

  it("with OUT_OF_RANGE for a token after which changes are no longer kept, in memory", async () => {
    const server = await startTestServer({ environment: { CHANGE_LOG_MAX_COUNT: "10" } });
    const client = userClient(server);
    const watch = await startWatch(server);
    const { token: before } = watch;
    await client.createUsers(streamOf(...newUsers(10)));
    await watch.take(10);
    const { token: first } = await startWatch(server, { resumeToken: before });
    await createUser(client);
    await watch.take(1);
    expect(await new Watch(client, { resumeToken: first }).failure()).toMatchObject({ ...EXPIRED, token: null });
    const kept = watch.events[1]?.resumeToken ?? "";
    expect(await (await startWatch(server, { resumeToken: kept })).take(10)).toHaveLength(10);
    // As the failure says, a snapshot helps.
    expect(await new Watch(client, { snapshot: true }).next()).toMatchObject({ type: SNAPSHOT });
  });

  it("with OUT_OF_RANGE for a token after which changes are no longer kept, on PostgreSQL", async () => {
    const url = await freshDatabase();
    const server = await servingTestServer({ environment: { DATABASE_URL: url } });
    const client = userClient(server);
    const watch = new Watch(client, { snapshot: true });
    await watch.next();
    await client.createUsers(streamOf(...newUsers(10)));
    await watch.take(10);
    const [, , last = expect.fail(), next = expect.fail()] = watch.events;
    await query(
      url,
      `DELETE FROM changes WHERE revision <= ${last.revision}; UPDATE change_log SET expired_through = ${last.revision}`,
    );
    for (const { resumeToken } of watch.events.slice(0, 2)) {
      expect(await new Watch(client, { resumeToken }).failure()).toMatchObject({ ...EXPIRED, token: null });
    }
    const resumed = await startWatch(server, { resumeToken: last.resumeToken });
    expect(await resumed.next()).toMatchObject({ revision: next.revision });
  });

  it("with OUT_OF_RANGE for a token of the future, when the database has been set back", async () => {
    const url = await freshDatabase();
    const server = await servingTestServer({ environment: { DATABASE_URL: url } });
    const client = userClient(server);
    const { id } = await createUser(client);
    const { token: early } = await startWatch(server);
    const watch = new Watch(client, { snapshot: true });
    await watch.take(2);
    await updateUser(client, { id, name: "Hopper" }, "name");
    const { resumeToken } = await watch.next();
    await query(url, "DELETE FROM changes WHERE kind = 'updated'");
    expect(await new Watch(client, { resumeToken }).failure()).toMatchObject({ ...EXPIRED, token: null });
    await startWatch(server, { resumeToken: early });
  });
});

describe.each(DEPLOYMENTS)("WatchUsers when the server stops, $where", ({ start }) => {
  it("fails with UNAVAILABLE after all that was sent, and tells where to go on", async () => {
    const { watching, writing, url } = await start();
    const users = userClient(writing);
    const [early, watch] = [await startWatch(watching), new Watch(userClient(watching), { snapshot: true })];
    await watch.next();
    const { userIds } = await users.createUsers(streamOf(...newUsers(50)));
    await watch.take(20);
    await early.take(50);
    const stopped = watching.server.stop();
    const ends = [await early.failure(), await watch.failure()];
    await stopped;
    for (const end of ends) expect(end).toMatchObject(STOPPING);
    expect(ends.map(({ token }) => token)).toEqual([early.token, watch.token]);
    expect(watching.server.openCalls).toBe(0);
    if (url === undefined) return;

    const again = await servingTestServer({ environment: { DATABASE_URL: url } });
    const resumed = await startWatch(again, { resumeToken: watch.token });
    const { id } = await createUser(userClient(again));
    const rest = await resumed.until(({ userId }) => userId === id);
    const created = [...watch.events, ...rest].filter(({ type }) => type === CREATED).map(({ userId }) => userId);
    expect(created.toSorted((one, other) => (one < other ? -1 : 1))).toEqual([...userIds, id]);
  });

  it("tells a client who did not read where to go on, so that nothing is missed", async () => {
    const { watching, writing } = await start();
    const users = userClient(writing);
    const watch = await startWatch(watching);
    const large = newUsers(300).map((user) => ({ ...user, profile: { bio: "x".repeat(10_000) } }));
    await users.createUsers(streamOf(...large));
    // Until the server has had time to send as much as the client takes.
    const other = await startWatch(watching);
    await updateUser(users, { id: (await createUser(users)).id, name: "Hopper" }, "name");
    await other.take(2);
    const stopped = watching.server.stop();
    const { token, ...end } = await watch.failure();
    await stopped;
    expect(end).toMatchObject(STOPPING);
    expect(watch.events.map(({ resumeToken }) => resumeToken)).toContain(token);
  });
});

describe("WatchUsers on a database that is lost", () => {
  it("fails with UNAVAILABLE, tells where to go on, and goes on there when it is found", PATIENCE, async () => {
    const proxy = await startTcpProxy(await freshDatabase());
    const server = await servingTestServer({ environment: { DATABASE_URL: proxy.url } });
    const client = userClient(server);
    const watches = [await startWatch(server), await startWatch(server)];
    const { id } = await createUser(client);
    for (const watch of watches) await watch.take(1);
    proxy.close();
    for (const watch of watches) expect(await watch.failure()).toMatchObject({ ...LOST, token: watch.token });
    expect(await new Watch(client).failure()).toMatchObject({ ...LOST, token: null });
    await expect.poll(() => server.server.openCalls).toBe(0);

    await proxy.listen();
    await expect.poll(() => client.getUser({ id }).then(() => "found", String), { timeout: 5000 }).toBe("found");
    await updateUser(client, { id, name: "Hopper" }, "name");
    const resumed = await startWatch(server, { resumeToken: watches[0]?.token ?? "" });
    expect(storyOf(await resumed.take(1))).toEqual([[UPDATED, id]]);
  });

  it("fails with UNAVAILABLE too when the database falls silent", PATIENCE, async () => {
    const proxy = await startTcpProxy(await freshDatabase());
    const server = await servingTestServer({ environment: { DATABASE_URL: proxy.url } });
    const watch = await startWatch(server);
    proxy.judge = () => "hold";
    expect(await watch.failure()).toMatchObject({ ...LOST, token: watch.token });
  });

  it("tells of changes that are made by hand", PATIENCE, async () => {
    const url = await freshDatabase();
    const server = await servingTestServer({ environment: { DATABASE_URL: url } });
    const { id } = await createUser(userClient(server));
    const watch = await startWatch(server);
    await query(url, "UPDATE users SET age = 85");
    expect(await watch.next()).toMatchObject({ type: UPDATED, userId: id, user: { age: 85 } });
  });
});

describe("WatchUsers that is given up", () => {
  it("leaves no open call, whoever ends it", async () => {
    const server = await startTestServer();
    const cancelled = await startWatch(server);
    const expiring = new Watch(userClient(server), {}, { timeoutMs: 300 });
    await expiring.next();
    const sessionless = createClient(UserService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${server.port}` }));
    expect(await new Watch(sessionless).failure()).toMatchObject({ code: "Unauthenticated" });
    await cancelled.cancel();
    expect(await expiring.failure()).toMatchObject({ code: "DeadlineExceeded" });
    const calls = await server.logs.waitForCalls(3, "/WatchUsers");
    expect(new Set(calls.map(({ code }) => code))).toEqual(
      new Set(["CANCELLED", "DEADLINE_EXCEEDED", "UNAUTHENTICATED"]),
    );
    await expect.poll(() => server.server.openCalls).toBe(0);
  });
});
