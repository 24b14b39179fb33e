import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { DeadlineExceededError } from "../../src/grpc/errors.ts";
import { failureOf } from "../support/errors.ts";
import { probeClient, startProbe } from "../support/probe.ts";
import { frame, openRequest } from "../support/raw-http2.ts";

const EXCEEDED = {
  code: "DeadlineExceeded",
  message: "deadline exceeded",
  reason: "DEADLINE_EXCEEDED",
  domain: "user.v1",
};

/** A handler that waits until it is called off, and tells why. */
function waitingHandler() {
  const { promise: reason, resolve } = Promise.withResolvers<unknown>();
  const wait = async (_request: unknown, { signal }: { signal: AbortSignal }) => {
    await once(signal, "abort");
    resolve(signal.reason);
    return {};
  };
  return { wait, reason };
}

describe("the deadline of a call", () => {
  it("is the default where the client sets none; the handler is called off", async () => {
    const { wait, reason } = waitingHandler();
    const server = await startProbe({ brief: wait });
    expect(await failureOf(probeClient(server).brief({}))).toMatchObject(EXCEEDED);
    expect(await reason).toBeInstanceOf(DeadlineExceededError);
    expect(await server.logs.waitForCalls(1)).toMatchObject([{ code: "DEADLINE_EXCEEDED" }]);
  });

  it("is brought forward to the longest that the policy allows", async () => {
    let left: number | undefined;
    const server = await startProbe({
      brief: async (_request, context) => {
        left = context.timeoutMs();
        return {};
      },
    });
    await probeClient(server).brief({}, { timeoutMs: 60_000 });
    expect(left).toBeLessThanOrEqual(100);
    expect(left).toBeGreaterThan(0);
  });

  it("is the client's own where that is sooner", async () => {
    let left: number | undefined;
    const server = await startProbe({
      public: async (_request, context) => {
        left = context.timeoutMs();
        return {};
      },
    });
    await probeClient(server).public({}, { timeoutMs: 2_000 });
    expect(left).toBeLessThanOrEqual(2_000);
    await probeClient(server).public({});
    expect(left).toBeGreaterThan(2_000);
  });

  it("calls the handler off when the client's own has passed", async () => {
    const { wait, reason } = waitingHandler();
    const server = await startProbe({ public: wait, brief: async () => ({}) });
    const client = probeClient(server);
    // Connects: what that takes would be time by which the clocks of the two sides differ.
    await client.brief({});
    expect(await failureOf(client.public({}, { timeoutMs: 50 }))).toMatchObject({ code: "DeadlineExceeded" });
    expect(await reason).toBeInstanceOf(DeadlineExceededError);
    expect(await server.logs.waitForCalls(2)).toMatchObject([{ code: "OK" }, { code: "DEADLINE_EXCEEDED" }]);
  });

  it("runs while the request is still on its way: headers alone hold nothing for long", async () => {
    const server = await startProbe();
    const request = openRequest(server.port, "/probe.v1.ProbeService/Brief");
    const { trailers } = await request.response;
    expect(trailers["grpc-status"]).toBe("4");
    expect(await server.logs.waitForCalls(1)).toMatchObject([{ code: "DEADLINE_EXCEEDED" }]);
  });

  it("refuses at once a call with too little time left, and never starts the handler", async () => {
    let started = false;
    const server = await startProbe({
      public: async () => {
        started = true;
        return {};
      },
    });
    const request = openRequest(server.port, "/probe.v1.ProbeService/Public", { "grpc-timeout": "100u" });
    const { trailers } = await request.response;
    expect(trailers["grpc-status"]).toBe("4");
    expect(started).toBe(false);
    expect(await server.logs.waitForCalls(1)).toMatchObject([{ code: "DEADLINE_EXCEEDED" }]);
  });

  it("calls off a handler that is reading its requests", async () => {
    const { promise: reason, resolve } = Promise.withResolvers<unknown>();
    const server = await startProbe({
      async collect(requests) {
        try {
          for await (const _ of requests);
        } catch (error) {
          resolve(error);
        }
        return {};
      },
    });
    async function* silence() {
      yield { text: "one" };
      await new Promise(() => {});
    }
    expect(await failureOf(probeClient(server).collect(silence(), { timeoutMs: 50 }))).toMatchObject({
      code: "DeadlineExceeded",
    });
    expect(await reason).toMatchObject({ name: expect.stringMatching(/DeadlineExceededError|CallCancelledError/) });
  });

  it("keeps a handler from starting when the request is complete only after it", async () => {
    let started = 0;
    const server = await startProbe({
      brief: async () => {
        started++;
        return {};
      },
    });
    const request = openRequest(server.port, "/probe.v1.ProbeService/Brief");
    request.stream.write(frame(Buffer.alloc(0)));
    expect((await request.response).trailers["grpc-status"]).toBe("4");
    request.stream.end();
    await probeClient(server).public({});
    expect(started).toBe(0);
  });

  it("calls off a handler whose client does not read, also at the client's own deadline", async () => {
    const { promise: calledOff, resolve } = Promise.withResolvers<void>();
    const server = await startProbe({
      async *produce(_request, { signal }) {
        signal.addEventListener("abort", () => resolve());
        for (;;) yield { payload: Buffer.alloc(10_000) };
      },
    });
    const stalled = openRequest(server.port, "/probe.v1.ProbeService/Produce", { "grpc-timeout": "100m" });
    stalled.stream.end(frame(Buffer.alloc(0)));
    await once(stalled.stream, "response");
    stalled.stream.pause();
    await calledOff;
    stalled.stream.session?.destroy();
    expect(await server.logs.waitForCalls(1)).toMatchObject([{ code: "DEADLINE_EXCEEDED" }]);
  });
});
