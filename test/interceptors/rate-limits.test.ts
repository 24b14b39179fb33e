import { createClient } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import type { Principal } from "../../src/domain/principal.ts";
import { ServerReflection } from "../../src/gen/grpc/reflection/v1/reflection_pb.ts";
import { Health } from "../../src/gen/health/v1/health_pb.ts";
import { failureOf } from "../support/errors.ts";
import { probeClient, startProbe } from "../support/probe.ts";
import { openRequest } from "../support/raw-http2.ts";
import { refusalOf } from "../support/refusals.ts";
import { collect, streamOf, transportTo } from "../support/server.ts";

const ALICE: Principal = { id: "alice", role: "user" };
const BOB: Principal = { id: "bob", role: "user" };

/** One call a second. */
const limitedTo = (which: string) => ({ environment: { [which]: "1", RATE_LIMIT_BURST: "0s" } });

const refused = (limited: string) => ({
  code: "ResourceExhausted",
  message: `too many calls from this ${limited}`,
  reason: "RATE_LIMITED",
  domain: "user.v1",
  facts: { limited },
});

describe("the rate limit of a caller", () => {
  it("refuses calls beyond it, of every kind, and tells when the next one is let in", async () => {
    const server = await startProbe({}, limitedTo("RATE_LIMIT_PER_CALLER"));
    const client = probeClient(server, ALICE);
    await client.self({ user: { id: "alice" } });
    const refusal = await refusalOf(client.self({ user: { id: "alice" } }));
    expect(refusal).toMatchObject(refused("caller"));
    expect(refusal.retryMs).toBeGreaterThan(0);
    expect(refusal.retryMs).toBeLessThanOrEqual(1000);
    expect(await refusalOf(client.selfStream(streamOf({ user: { id: "alice" } })))).toMatchObject(refused("caller"));
    expect((await server.logs.waitForCalls(3)).map(({ code }) => code)).toEqual([
      "OK",
      "RESOURCE_EXHAUSTED",
      "RESOURCE_EXHAUSTED",
    ]);
  });

  it("is each caller's own: of every id, and of every role with the same id", async () => {
    const server = await startProbe({}, limitedTo("RATE_LIMIT_PER_CALLER"));
    await probeClient(server, ALICE).self({ user: { id: "alice" } });
    await refusalOf(probeClient(server, ALICE).self({ user: { id: "alice" } }));
    await probeClient(server, BOB).self({ user: { id: "bob" } });
    await probeClient(server, { id: "alice", role: "admin" }).self({ user: { id: "alice" } });
  });

  it("saves up calls for the time of a burst", async () => {
    const environment = { RATE_LIMIT_PER_CALLER: "1", RATE_LIMIT_BURST: "5s" };
    const server = await startProbe({}, { environment });
    const client = probeClient(server, ALICE);
    for (let count = 0; count < 5; count++) await client.self({ user: { id: "alice" } });
    await refusalOf(client.self({ user: { id: "alice" } }));
  });

  it("comes before the request is looked at, and after the token", async () => {
    const server = await startProbe({}, limitedTo("RATE_LIMIT_PER_CALLER"));
    const other = { user: { id: "bob" } };
    expect(await failureOf(probeClient(server, ALICE).self(other))).toMatchObject({ code: "PermissionDenied" });
    expect(await failureOf(probeClient(server, ALICE).self(other))).toMatchObject({ reason: "RATE_LIMITED" });
    expect(await failureOf(probeClient(server).self(other))).toMatchObject({ code: "Unauthenticated" });
  });

  it("does not count methods that ask nobody who they are", async () => {
    const server = await startProbe({}, limitedTo("RATE_LIMIT_PER_CALLER"));
    const transport = transportTo(server, ALICE);
    for (let count = 0; count < 3; count++) {
      await createClient(Health, transport).check({});
      await collect(createClient(ServerReflection, transport).serverReflectionInfo(streamOf()));
      await probeClient(server, ALICE).public({});
    }
  });

  it("holds everybody together if there are no tokens", async () => {
    const environment = { AUTH: "none", RATE_LIMIT_PER_CALLER: "1", RATE_LIMIT_BURST: "0s" };
    const server = await startProbe({}, { environment });
    await probeClient(server, ALICE).self({});
    expect(await refusalOf(probeClient(server, BOB).self({}))).toMatchObject(refused("caller"));
  });
});

describe("the rate limit of an address", () => {
  it("refuses calls beyond it, whoever makes them, and tells when the next one is let in", async () => {
    const server = await startProbe({}, limitedTo("RATE_LIMIT_PER_ADDRESS"));
    await probeClient(server, ALICE).self({ user: { id: "alice" } });
    const refusal = await refusalOf(probeClient(server, BOB).self({ user: { id: "bob" } }));
    expect(refusal).toMatchObject(refused("address"));
    expect(refusal.retryMs).toBeGreaterThan(0);
    expect(refusal.retryMs).toBeLessThanOrEqual(1000);
  });

  it("keeps those out who have no token, before anybody asks for it", async () => {
    const server = await startProbe({}, limitedTo("RATE_LIMIT_PER_ADDRESS"));
    const client = probeClient(server);
    expect(await failureOf(client.self({}))).toMatchObject({ code: "Unauthenticated" });
    expect(await failureOf(client.self({}))).toMatchObject({ reason: "RATE_LIMITED" });
    expect((await server.logs.waitForCalls(2)).map(({ code }) => code)).toEqual([
      "UNAUTHENTICATED",
      "RESOURCE_EXHAUSTED",
    ]);
  });

  it("comes after the deadline, and before the server asks itself whether it has too much to do", async () => {
    const { promise: called, resolve: call } = Promise.withResolvers<void>();
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    const wait = async () => {
      call();
      await opened;
      return {};
    };
    const { environment } = limitedTo("RATE_LIMIT_PER_ADDRESS");
    const server = await startProbe({ public: wait }, { environment: { ...environment, MAX_CALLS_IN_FLIGHT: "1" } });
    const inFlight = probeClient(server).public({});
    await called;
    expect(await failureOf(probeClient(server).public({}))).toMatchObject({ reason: "RATE_LIMITED" });
    const late = openRequest(server.port, "/probe.v1.ProbeService/Public", { "grpc-timeout": "1n" });
    expect((await late.response).trailers["grpc-status"]).toBe("4");
    open();
    await inFlight;
  });

  it("refuses before the request has come", async () => {
    const server = await startProbe({}, limitedTo("RATE_LIMIT_PER_ADDRESS"));
    await probeClient(server).public({});
    const { trailers } = await openRequest(server.port, "/probe.v1.ProbeService/Public").response;
    expect(trailers["grpc-status"]).toBe("8");
    expect(trailers["x-request-id"]).toBeDefined();
  });
});
