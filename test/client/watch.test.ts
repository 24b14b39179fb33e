import type { ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { type Watch, type WatchOptions, watch } from "../../src/client/watch.ts";
import { WatchEventType, type WatchUsersResponse } from "../../src/gen/user/v1/watch_pb.ts";
import { createFake, failing, unavailable } from "../../src/testing/testing.ts";
import { publishedClient } from "../support/client.ts";
import { freshDatabase } from "../support/database.ts";
import { failureOf } from "../support/errors.ts";
import { lastingPort } from "../support/ports.ts";
import { newUsers, servingTestServer, startTestServer } from "../support/server.ts";

const { CREATED, UPDATED, SNAPSHOT, SNAPSHOT_END, HEARTBEAT } = WatchEventType;

/** The next events. */
async function take(events: Watch, count: number): Promise<WatchUsersResponse[]> {
  const taken: WatchUsersResponse[] = [];
  while (taken.length < count) {
    const { done, value } = await events.next();
    if (done) expect.fail("the watch has ended");
    taken.push(value);
  }
  return taken;
}

function typesOf(events: readonly WatchUsersResponse[]): WatchEventType[] {
  return events.map(({ type }) => type);
}

const event = (type: WatchEventType, revision: number) => ({
  type,
  revision: BigInt(revision),
  resumeToken: `${revision}`,
});

/** What the watches of a fake have asked for, as the tokens with which they went on. */
const tokensOf = (fake: { readonly calls: readonly { readonly requests: readonly object[] }[] }) =>
  fake.calls.map(({ requests }) => (requests[0] as { resumeToken: string }).resumeToken);

describe("watch", () => {
  it("hands out a snapshot if asked, and then changes, without heartbeats", async () => {
    const client = publishedClient(await startTestServer());
    const [ada, bob] = newUsers(2);
    await client.createUsers([ada ?? {}]);
    await using events = watch(client, { snapshot: true, heartbeatMs: 100 });
    expect(typesOf(await take(events, 2))).toEqual([SNAPSHOT, SNAPSHOT_END]);
    const next = events.next();
    await client.createUsers([bob ?? {}]);
    expect((await next).value).toMatchObject({ type: CREATED, user: { email: "user1@example.com" } });
  });

  it("hands out heartbeats if asked", async () => {
    await using events = watch(publishedClient(await startTestServer()), { heartbeats: true, heartbeatMs: 100 });
    expect(typesOf(await take(events, 2))).toEqual([HEARTBEAT, HEARTBEAT]);
  });

  it("ends when the loop is left, and when it is disposed of while an event is waited for", async () => {
    const server = await startTestServer();
    const client = publishedClient(server);
    for await (const _ of watch(client, { snapshot: true })) break;
    const events = watch(client);
    const next = events.next();
    await client.getUser({ id: "nobody" }).catch(() => {});
    await events[Symbol.asyncDispose]();
    expect(await next).toMatchObject({ done: true });
    expect(await events.next()).toMatchObject({ done: true });
    const calls = await server.logs.waitForCalls(1, "WatchUsers");
    expect(calls[0]).toMatchObject({ code: "CANCELLED" });
  });

  it("fails with the caller's own cancellation, and with what waiting does not mend", async () => {
    await using fake = await createFake({ watchUsers: failing({ code: "PERMISSION_DENIED" }) });
    const client = publishedClient(fake);
    expect(await failureOf(watch(client).next())).toMatchObject({ code: "PermissionDenied" });
    const signal = AbortSignal.abort();
    expect(await failureOf(watch(client, { signal }).next())).toMatchObject({ code: "Canceled" });
  });

  it("goes on where it was, and hands nothing out twice", async () => {
    await using fake = await createFake({
      watchUsers: [
        async function* () {
          yield event(CREATED, 1);
          yield event(UPDATED, 2);
          throw unavailable();
        },
        unavailable(),
        async function* () {
          yield event(UPDATED, 2);
          yield event(UPDATED, 3);
          yield event(HEARTBEAT, 4);
          throw failing({ code: "UNKNOWN", reason: "OUTCOME_UNKNOWN" });
        },
        async function* () {
          yield event(UPDATED, 5);
          // A server does not end a watch with OK; something between may.
        },
        async function* () {
          yield event(UPDATED, 6);
          throw failing({ code: "UNAUTHENTICATED", reason: "TOKEN_EXPIRED" });
        },
        async function* () {
          yield event(UPDATED, 7);
        },
      ],
    });
    const interruptions: ConnectError[] = [];
    await using events = watch(publishedClient(fake), { onInterrupted: (error) => interruptions.push(error) });
    expect((await take(events, 6)).map(({ revision }) => Number(revision))).toEqual([1, 2, 3, 5, 6, 7]);
    expect(tokensOf(fake)).toEqual(["", "2", "2", "4", "5", "6"]);
    expect(interruptions).toHaveLength(4);
    expect(events.resumeToken).toBe("7");
  });

  it("gives a call up on which nothing is heard", async () => {
    await using fake = await createFake({
      watchUsers: [
        async function* (_request, { signal }) {
          yield event(CREATED, 1);
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
        },
        async function* () {
          yield event(UPDATED, 2);
        },
      ],
    });
    await using events = watch(publishedClient(fake), { heartbeatMs: 100 });
    expect((await take(events, 2)).map(({ revision }) => Number(revision))).toEqual([1, 2]);
    expect(tokensOf(fake)).toEqual(["", "1"]);
  });

  describe("when changes are no longer kept", () => {
    const expired = failing({ code: "OUT_OF_RANGE", reason: "CHANGES_EXPIRED" });

    const startExpired = () =>
      createFake({
        async *watchUsers({ resumeToken, snapshot }) {
          if (resumeToken !== "") throw expired;
          if (snapshot) yield event(SNAPSHOT, 9);
          yield event(SNAPSHOT_END, 9);
        },
      });

    it("fails with OUT_OF_RANGE", async () => {
      await using fake = await startExpired();
      const call = watch(publishedClient(fake), { resumeToken: "old" }).next();
      expect(await failureOf(call)).toMatchObject({ code: "OutOfRange", reason: "CHANGES_EXPIRED" });
    });

    it("begins again with a snapshot if asked", async () => {
      await using fake = await startExpired();
      const options: WatchOptions = { resumeToken: "old", onExpired: "snapshot" };
      await using events = watch(publishedClient(fake), options);
      expect(typesOf(await take(events, 2))).toEqual([SNAPSHOT, SNAPSHOT_END]);
      expect(tokensOf(fake).slice(0, 2)).toEqual(["old", ""]);
    });

    it("takes a service that has forgotten everything for the same", async () => {
      const first = await startTestServer({ environment: { PORT: String(await lastingPort()) } });
      const client = publishedClient(first);
      await client.createUsers(newUsers(1));
      await using events = watch(client, { snapshot: true, onExpired: "snapshot", heartbeatMs: 100 });
      await take(events, 2);
      const next = take(events, 1);
      await first.server.stop();
      await startTestServer({ environment: { PORT: String(first.port) } });
      expect(typesOf(await next)).toEqual([SNAPSHOT_END]);
    });
  });

  it("goes from one replica to another, and misses nothing", async () => {
    const environment = { DATABASE_URL: await freshDatabase() };
    const startReplica = (port: number) => servingTestServer({ environment: { ...environment, PORT: String(port) } });
    const replicas = [await startReplica(await lastingPort()), await startReplica(await lastingPort())];
    const client = publishedClient({ address: `ipv4:${replicas.map(({ address }) => address).join(",")}` });
    const interruptions: ConnectError[] = [];
    await using events = watch(client, {
      snapshot: true,
      heartbeatMs: 200,
      onInterrupted: (error) => interruptions.push(error),
    });
    await take(events, 1);
    const changes = take(events, 30);
    const create = async (prefix: string) => {
      for (let n = 0; n < 10; n++) await client.createUser(newUsers(1, `${prefix}-${n}-`)[0] ?? {});
    };
    await create("before");
    // Whichever the watch is at.
    for (const [index, { port, server }] of replicas.entries()) {
      await server.stop();
      await startReplica(port);
      await create(`after${index}`);
    }
    const emails = (await changes).map(({ user }) => user?.email);
    expect(new Set(emails).size).toBe(30);
    expect(interruptions.length).toBeGreaterThan(0);
  });
});
