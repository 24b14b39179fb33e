import { type CallOptions, type Client, createClient } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "../../src/gen/health/v1/health_pb.ts";
import { failureOf } from "../support/errors.ts";
import { startTestServer, type TestServer, transportTo } from "../support/server.ts";

/** A client without a token. */
function healthClient(server: TestServer): Client<typeof Health> {
  return createClient(Health, transportTo(server, null));
}

/** A server whose stop waits for open calls longer than a test does, so that watches must end by themselves. */
function startPatientServer(): Promise<TestServer> {
  return startTestServer({ environment: { SHUTDOWN_TIMEOUT: "60m" } });
}

/** The statuses of a watch, one by one. */
function watch(client: Client<typeof Health>, service: string, options?: CallOptions) {
  const responses = client.watch({ service }, options)[Symbol.asyncIterator]();
  return {
    async next(): Promise<ServingStatus | undefined> {
      const { value, done } = await responses.next();
      return done ? undefined : value.status;
    },
  };
}

describe("Health.Check", () => {
  it.each(["", "user.v1.UserService"])("says SERVING of %j, and asks for no token", async (service) => {
    const client = healthClient(await startTestServer());
    expect((await client.check({ service })).status).toBe(ServingStatus.SERVING);
  });

  it.each(["user.v1.Unknown", "user.v1", "UserService", "/user.v1.UserService"])(
    "fails with NOT_FOUND for the unknown service %j",
    async (service) => {
      const client = healthClient(await startTestServer());
      expect(await failureOf(client.check({ service }))).toMatchObject({
        code: "NotFound",
        reason: "NOT_FOUND",
        domain: "user.v1",
      });
    },
  );
});

describe("Health.List", () => {
  it("says SERVING of every service, of the server as a whole, and of its liveness", async () => {
    const { statuses } = await healthClient(await startTestServer()).list({});
    const listed = Object.entries(statuses).map(([service, { status }]) => [service, status]);
    expect(Object.fromEntries(listed)).toEqual({
      "": ServingStatus.SERVING,
      "user.v1.UserService": ServingStatus.SERVING,
      liveness: ServingStatus.SERVING,
    });
  });
});

describe("Health.Watch", () => {
  it.each(["", "user.v1.UserService"])(
    "says SERVING of %j, NOT_SERVING when the server stops, and then UNAVAILABLE",
    async (service) => {
      const server = await startPatientServer();
      const statuses = watch(healthClient(server), service);
      expect(await statuses.next()).toBe(ServingStatus.SERVING);
      const stopped = server.server.stop();
      expect(await statuses.next()).toBe(ServingStatus.NOT_SERVING);
      expect(await failureOf(statuses.next())).toMatchObject({
        code: "Unavailable",
        reason: "SERVER_STOPPING",
        message: "the server is stopping",
      });
      await stopped;
    },
  );

  it("says SERVICE_UNKNOWN of an unknown service, and goes on until the server stops", async () => {
    const server = await startPatientServer();
    const statuses = watch(healthClient(server), "user.v1.Unknown");
    expect(await statuses.next()).toBe(ServingStatus.SERVICE_UNKNOWN);
    const stopped = server.server.stop();
    expect(await failureOf(statuses.next())).toMatchObject({ code: "Unavailable", reason: "SERVER_STOPPING" });
    await stopped;
  });

  it("tells every watcher", async () => {
    const server = await startPatientServer();
    const client = healthClient(server);
    const watches = Array.from({ length: 20 }, () => watch(client, ""));
    const all = () => Promise.all(watches.map((statuses) => statuses.next()));
    expect(await all()).toEqual(watches.map(() => ServingStatus.SERVING));
    const stopped = server.server.stop();
    expect(await all()).toEqual(watches.map(() => ServingStatus.NOT_SERVING));
    await Promise.allSettled(watches.map((statuses) => statuses.next()));
    await stopped;
  });

  it("ends when the client cancels it, and the server can stop", async () => {
    const server = await startPatientServer();
    const controller = new AbortController();
    const statuses = watch(healthClient(server), "", { signal: controller.signal });
    expect(await statuses.next()).toBe(ServingStatus.SERVING);
    controller.abort();
    expect(await failureOf(statuses.next())).toMatchObject({ code: "Canceled" });
    const [line] = await server.logs.waitForCalls(1, "Watch");
    expect(line).toMatchObject({ method: "grpc.health.v1.Health/Watch", code: "CANCELLED" });
    await server.server.stop();
  });
});
