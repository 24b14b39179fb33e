import { EventEmitter, on } from "node:events";
import { create } from "@bufbuild/protobuf";
import { type handleClientStreamingCall, type handleUnaryCall, status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { UserNotFoundError } from "../../src/domain/errors.ts";
import { type ProbeRequest, ProbeResponseSchema, ProbeService } from "../gen/probe/v1/probe_pb.ts";
import { startBareServer } from "../support/bare-server.ts";
import { publishedClient, serviceClient } from "../support/client.ts";
import { failureOf } from "../support/errors.ts";
import { startProbe } from "../support/probe.ts";
import { collect, newUsers, startTestServer } from "../support/server.ts";

type ProbeClient = ReturnType<typeof serviceClient<typeof ProbeService>>;

/** Ends when the call that `signal` belongs to has ended. */
function over(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => signal.addEventListener("abort", resolve));
}

/** Calls until a count stands still, and returns it. Never returns if nothing holds the count back. */
async function settled(client: ProbeClient, count: () => number): Promise<number> {
  for (let before = -1; before !== count(); ) {
    before = count();
    for (let calls = 0; calls < 20; calls++) await client.public({});
  }
  return count();
}

/** Large enough for few to fill all buffers. */
const LARGE = "x".repeat(16_384);

/** Starts a server that checks nothing, and reads the requests of `collect` when it is told. */
async function startLateReader(collect: handleClientStreamingCall<ProbeRequest, unknown>) {
  const unary: handleUnaryCall<unknown, unknown> = (_call, callback) => callback(null, create(ProbeResponseSchema));
  return serviceClient(ProbeService, await startBareServer(ProbeService, { public: unary, collect }));
}

describe("leaving a stream of responses", () => {
  it("cancels the call", async () => {
    const server = await startProbe();
    const client = serviceClient(ProbeService, server);
    const responses = client.produce({ number: 1_000_000 });
    for await (const { text } of responses) if (text === "3") break;
    expect(await server.logs.waitForCalls(1, "Produce")).toMatchObject([{ code: "CANCELLED" }]);
    expect(await collect(responses)).toEqual([]);
  });

  it("cancels a call that is about to start", async () => {
    const server = await startProbe({
      async *produce(_request, { signal }) {
        yield {};
        await over(signal);
      },
    });
    const client = serviceClient(ProbeService, server);
    await client.public({});
    const controller = new AbortController();
    const call = collect(client.produce({}, { signal: controller.signal }));
    controller.abort();
    expect(await failureOf(call)).toMatchObject({ code: "Canceled" });
    expect(await server.logs.waitForCalls(1, "Produce")).toMatchObject([{ code: "CANCELLED" }]);
  });

  it("stops the source of the requests, even while it waits", async () => {
    const client = serviceClient(ProbeService, await startProbe());
    const emitter = new EventEmitter();
    const said = on(emitter, "say") as AsyncIterator<[text: string], undefined>;
    const requests: AsyncIterable<{ text: string }> = {
      [Symbol.asyncIterator]: () => ({
        async next() {
          const { done, value } = await said.next();
          return done ? { done, value } : { done: false, value: { text: value[0] } };
        },
        async return() {
          await said.return?.();
          return { done: true, value: undefined };
        },
      }),
    };
    const responses = client.converse(requests);
    emitter.emit("say", "hello");
    for await (const { text } of responses) {
      expect(text).toBe("hello");
      break;
    }
    await said.next();
    expect(emitter.listenerCount("say")).toBe(0);
  });
});

describe("an abort", () => {
  it("cancels a unary call", async () => {
    const controller = new AbortController();
    const server = await startProbe({
      async public(_request, { signal }) {
        controller.abort();
        await over(signal);
        return {};
      },
    });
    const call = serviceClient(ProbeService, server).public({}, { signal: controller.signal });
    expect(await failureOf(call)).toMatchObject({ code: "Canceled", message: "This operation was aborted" });
    expect(await server.logs.waitForCalls(1, "Public")).toMatchObject([{ code: "CANCELLED" }]);
  });

  it("cancels a stream between two responses", async () => {
    const server = await startProbe({
      async *produce(_request, { signal }) {
        yield { text: "one" };
        await over(signal);
      },
    });
    const controller = new AbortController();
    const { signal } = controller;
    const responses = serviceClient(ProbeService, server).produce({}, { signal })[Symbol.asyncIterator]();
    expect(await responses.next()).toMatchObject({ value: { text: "one" } });
    const pending = responses.next();
    controller.abort();
    expect(await failureOf(pending)).toMatchObject({ code: "Canceled" });
    expect(await server.logs.waitForCalls(1, "Produce")).toMatchObject([{ code: "CANCELLED" }]);
  });

  it("keeps a call from starting if it came before", async () => {
    const server = await startProbe();
    const client = serviceClient(ProbeService, server);
    const options = { signal: AbortSignal.abort() };
    expect(await failureOf(client.public({}, options))).toMatchObject({ code: "Canceled" });
    expect(await failureOf(collect(client.produce({}, options)))).toMatchObject({ code: "Canceled" });
    await client.public({ text: "counted" });
    expect(await server.logs.waitForCalls(1)).toHaveLength(1);
  });
});

describe("a source of requests that fails", () => {
  it("fails the call, which creates nothing", async () => {
    const client = publishedClient(await startTestServer());
    async function* failing() {
      yield* newUsers(10);
      throw new Error("no more");
    }
    expect(await failureOf(client.createUsers(failing()))).toMatchObject({ code: "Unknown", message: "no more" });
    expect(await collect(client.listUsers({}))).toEqual([]);
  });
});

describe("a call that the server ends first", () => {
  /** Requests that never come, from a source that fails when it is told to stop. */
  function failingWhenStopped(): AsyncIterable<{ text: string }> {
    const stopped = Promise.withResolvers<never>();
    return {
      [Symbol.asyncIterator]: () => ({
        next: () => stopped.promise,
        async return() {
          stopped.reject(new Error("stopped"));
          return { done: true, value: undefined };
        },
      }),
    };
  }

  it("keeps its responses when the source of the requests fails afterwards", async () => {
    const server = await startProbe({
      async *converse() {
        for (const text of ["one", "two"]) yield { text };
      },
    });
    const client = serviceClient(ProbeService, server);
    const responses = client.converse(failingWhenStopped());
    await server.logs.waitForCalls(1, "Converse");
    // Its status has arrived when this one has.
    await client.public({});
    expect((await collect(responses)).map(({ text }) => text)).toEqual(["one", "two"]);
  });

  it("keeps its status when the source of the requests fails afterwards", async () => {
    const server = await startProbe({
      async *converse() {
        yield { text: "one" };
        throw new UserNotFoundError("nobody");
      },
    });
    const client = serviceClient(ProbeService, server);
    const responses = client.converse(failingWhenStopped())[Symbol.asyncIterator]();
    await server.logs.waitForCalls(1, "Converse");
    await client.public({});
    expect(await responses.next()).toMatchObject({ value: { text: "one" } });
    expect(await failureOf(responses.next())).toMatchObject({ code: "NotFound", reason: "USER_NOT_FOUND" });
  });

  it("takes no more requests from their source", async () => {
    const enough = Promise.withResolvers<void>();
    const client = await startLateReader((_call, callback) => {
      void enough.promise.then(() => callback({ code: status.NOT_FOUND }));
    });
    let asked = 0;
    const requests: AsyncIterable<{ text: string }> = {
      // Cannot be told to stop.
      [Symbol.asyncIterator]: () => ({
        async next() {
          asked++;
          return { done: false, value: { text: LARGE } };
        },
      }),
    };
    const call = client.collect(requests);
    const taken = await settled(client, () => asked);
    enough.resolve();
    expect(await failureOf(call)).toMatchObject({ code: "NotFound" });
    await client.public({});
    expect(asked).toBe(taken);
  });
});

describe("back-pressure", () => {
  it("holds the server back while the responses are not read", async () => {
    let produced = 0;
    const server = await startProbe({
      async *produce() {
        for (;;) yield { payload: new Uint8Array(16_384), text: String(produced++) };
      },
    });
    const client = serviceClient(ProbeService, server);
    const responses = client.produce({})[Symbol.asyncIterator]();
    await responses.next();
    expect(await settled(client, () => produced)).toBeLessThan(200);
    for (let index = 1; index < 250; index++) {
      expect(await responses.next()).toMatchObject({ value: { text: String(index) } });
    }
    await responses.return?.();
  });

  const COUNT = 500;

  it("holds the source of the requests back while the server does not read", async () => {
    const read = Promise.withResolvers<void>();
    async function countInOrder(requests: AsyncIterable<ProbeRequest>): Promise<number> {
      await read.promise;
      let count = 0;
      for await (const { number } of requests) if (number !== count++ || count === COUNT) break;
      return count;
    }
    const client = await startLateReader((call, callback) => {
      void countInOrder(call.iterator({ destroyOnReturn: false })).then((count) =>
        callback(null, create(ProbeResponseSchema, { text: String(count) })),
      );
    });
    let asked = 0;
    const stopped = Promise.withResolvers<void>();
    async function* endless() {
      try {
        for (;;) yield { text: LARGE, number: asked++ };
      } finally {
        stopped.resolve();
      }
    }
    const call = client.collect(endless());
    expect(await settled(client, () => asked)).toBeLessThan(COUNT);
    read.resolve();
    expect(await call).toMatchObject({ text: String(COUNT) });
    await stopped.promise;
  });
});

describe("an error", () => {
  it("comes after the responses that were sent before it", async () => {
    const server = await startProbe({
      async *produce() {
        for (const text of ["one", "two", "three"]) yield { text };
        throw new UserNotFoundError("nobody");
      },
    });
    const texts: string[] = [];
    const client = serviceClient(ProbeService, server);
    async function read() {
      for await (const { text } of client.produce({})) {
        texts.push(text);
        await client.public({});
      }
    }
    expect(await failureOf(read())).toMatchObject({ code: "NotFound", reason: "USER_NOT_FOUND" });
    expect(texts).toEqual(["one", "two", "three"]);
  });
});
