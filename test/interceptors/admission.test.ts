import { createClient } from "@connectrpc/connect";
import { describe, expect, it, onTestFinished } from "vitest";
import { Health } from "../../src/gen/health/v1/health_pb.ts";
import { repeatedHeaders } from "../support/hpack.ts";
import { probeClient, startProbe } from "../support/probe.ts";
import { frame } from "../support/raw-http2.ts";
import { refusalOf } from "../support/refusals.ts";
import { ADMIN, startTestServer, streamOf, transportTo, userClient } from "../support/server.ts";
import { type Outcome, UnaryConnection } from "../support/unary-connection.ts";

const OVERLOADED = {
  code: "ResourceExhausted",
  message: "the server has too much to do",
  reason: "OVERLOADED",
  domain: "user.v1",
  retryMs: 1000,
};
const TOO_MANY_STREAMS = {
  code: "ResourceExhausted",
  message: "the server has too many open streams",
  reason: "TOO_MANY_STREAMS",
  domain: "user.v1",
  retryMs: 1000,
};

/** A handler whose calls wait until they are let go, and tell when so many of them have come. */
function gate(count: number) {
  const { promise: full, resolve: fill } = Promise.withResolvers<void>();
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  let come = 0;
  const wait = async () => {
    if (++come === count) fill();
    await opened;
    return {};
  };
  return { wait, full, open };
}

describe("calls in flight", () => {
  it("are refused beyond the limit, with a time to try again, until others have ended", async () => {
    const { wait, full, open } = gate(2);
    const server = await startProbe({ public: wait }, { environment: { MAX_CALLS_IN_FLIGHT: "2" } });
    const client = probeClient(server);
    const first = [client.public({}), client.public({})];
    await full;
    expect(await refusalOf(client.public({}))).toMatchObject(OVERLOADED);
    expect(await refusalOf(client.brief({}))).toMatchObject(OVERLOADED);
    expect(await refusalOf(client.collect(streamOf({})))).toMatchObject(OVERLOADED);
    open();
    await Promise.all(first);
    await client.public({});
    const codes = (await server.logs.waitForCalls(6)).map(({ code }) => code);
    expect(codes.filter((code) => code === "RESOURCE_EXHAUSTED")).toHaveLength(3);
    expect(codes.filter((code) => code === "OK")).toHaveLength(3);
  });

  it("are any number if there is no limit", async () => {
    const { wait, full, open } = gate(50);
    const server = await startProbe({ public: wait }, { environment: { MAX_CALLS_IN_FLIGHT: "0" } });
    const calls = Array.from({ length: 50 }, () => probeClient(server).public({}));
    await full;
    open();
    await Promise.all(calls);
  });

  it("never keep probes out", async () => {
    const { wait, full, open } = gate(1);
    const server = await startProbe({ public: wait }, { environment: { MAX_CALLS_IN_FLIGHT: "1" } });
    const call = probeClient(server).public({});
    await full;
    await createClient(Health, transportTo(server, null)).check({});
    open();
    await call;
  });

  it("are refused before anybody asks who they are", async () => {
    const { wait, full, open } = gate(1);
    const server = await startProbe({ public: wait }, { environment: { MAX_CALLS_IN_FLIGHT: "1" } });
    const call = probeClient(server).public({});
    await full;
    expect(await refusalOf(probeClient(server).self({}))).toMatchObject(OVERLOADED);
    open();
    await call;
  });
});

describe("live streams", () => {
  /** Watches users until it is told to stop. */
  async function watch(client: ReturnType<typeof userClient>): Promise<() => Promise<void>> {
    const abort = new AbortController();
    const events = client.watchUsers({ snapshot: true }, { signal: abort.signal })[Symbol.asyncIterator]();
    await events.next();
    return async () => {
      abort.abort();
      await events.next().catch(() => {});
    };
  }

  it("are refused beyond the limit, until others have ended", async () => {
    const server = await startTestServer({ environment: { MAX_LIVE_STREAMS: "2" } });
    const client = userClient(server, ADMIN);
    const stops = [await watch(client), await watch(client)];
    expect(await refusalOf(watch(client))).toMatchObject(TOO_MANY_STREAMS);
    await stops[0]?.();
    await server.logs.waitForCalls(2);
    stops[0] = await watch(client);
    expect(await refusalOf(watch(client))).toMatchObject(TOO_MANY_STREAMS);
    for (const stop of stops) await stop();
  });

  it("do not count as calls in flight, and calls in flight not as live streams", async () => {
    const server = await startTestServer({ environment: { MAX_CALLS_IN_FLIGHT: "1", MAX_LIVE_STREAMS: "2" } });
    const client = userClient(server, ADMIN);
    const stops = [await watch(client), await watch(client)];
    for (let count = 0; count < 3; count++) await client.batchGetUsers({ ids: ["nobody"] });
    for (const stop of stops) await stop();
    await server.logs.waitForCalls(5);
    for (let count = 0; count < 3; count++) await client.batchGetUsers({ ids: ["nobody"] });
  });

  it("that are refused by others do not count", async () => {
    const server = await startTestServer({ environment: { MAX_LIVE_STREAMS: "1", MAX_CALLS_IN_FLIGHT: "1" } });
    for (let count = 0; count < 3; count++) {
      expect(await refusalOf(watch(userClient(server, null)))).toMatchObject({ code: "Unauthenticated" });
    }
    await server.logs.waitForCalls(3);
    await (await watch(userClient(server, ADMIN)))();
  });
});

describe("a call that nobody looked at for long", () => {
  /** Makes two calls with this deadline in one write, of which the first keeps the event loop busy; tells how they end, in that order. */
  async function callBehind(busyMs: number, timeout: string): Promise<readonly Outcome[]> {
    let busy = false;
    const server = await startProbe({
      async public() {
        for (const end = performance.now() + (busy ? busyMs : 0); performance.now() < end; );
        busy = false;
        return { text: "done" };
      },
    });
    const headers = repeatedHeaders([
      [":method", "POST"],
      [":scheme", "http"],
      [":path", "/probe.v1.ProbeService/Public"],
      [":authority", "localhost"],
      ["content-type", "application/grpc"],
      ["te", "trailers"],
      ["grpc-timeout", timeout],
    ]);
    const outcomes: Outcome[] = [];
    let onEnd = (): void => {};
    const connection = new UnaryConnection({
      port: server.port,
      headers,
      body: frame(Buffer.alloc(0)),
      onEnd(_, outcome) {
        outcomes.push(outcome);
        onEnd();
      },
    });
    onTestFinished(() => connection.close());
    const callAtOnce = (calls: number) =>
      new Promise<void>((resolve) => {
        onEnd = () => outcomes.length === calls && resolve();
        for (let count = 0; count < calls; count++) connection.call(0);
        connection.flush();
      });
    await callAtOnce(1);
    expect(outcomes.splice(0)).toEqual(["answered"]);
    busy = true;
    await callAtOnce(2);
    return outcomes;
  }

  it("is refused if it has waited for a third of the time it has left", async () => {
    expect(await callBehind(50, "100m")).toEqual(["refused", "answered"]);
  });

  it("is served if that is little of its time", async () => {
    expect(await callBehind(50, "10S")).toEqual(["answered", "answered"]);
  });
});
