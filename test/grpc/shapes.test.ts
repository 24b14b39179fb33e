import { once } from "node:events";
import type { HandlerContext } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { UserNotFoundError } from "../../src/domain/errors.ts";
import { ProbeService } from "../gen/probe/v1/probe_pb.ts";
import { failureOf } from "../support/errors.ts";
import { probeClient, startProbe } from "../support/probe.ts";
import { frame, openRequest } from "../support/raw-http2.ts";
import { collect, streamOf } from "../support/server.ts";

/** Handlers of each shape that first do what `act` does. */
function acting(act: (context: HandlerContext) => void) {
  return {
    public: async (_request: unknown, context: HandlerContext) => {
      act(context);
      return { text: "done" };
    },
    async *produce(_request: unknown, context: HandlerContext) {
      act(context);
      yield { text: "done" };
    },
    async collect(requests: AsyncIterable<unknown>, context: HandlerContext) {
      await Array.fromAsync(requests);
      act(context);
      return { text: "done" };
    },
    async *converse(requests: AsyncIterable<unknown>, context: HandlerContext) {
      for await (const _ of requests) {
        act(context);
        yield { text: "done" };
      }
    },
  };
}

/** Calls a method of each shape; the results are in the order of the shapes. */
function callEach(client: ReturnType<typeof probeClient>, options: object = {}): Promise<unknown>[] {
  return [
    client.public({}, options),
    collect(client.produce({}, options)),
    client.collect(streamOf({ text: "a" }), options),
    collect(client.converse(streamOf({ text: "a" }), options)),
  ];
}

describe("a handler of any shape", () => {
  it("answers", async () => {
    const client = probeClient(await startProbe());
    expect((await client.public({ text: "a" })).text).toBe("a");
    expect((await collect(client.produce({ number: 3 }))).map(({ text }) => text)).toEqual(["0", "1", "2"]);
    expect((await client.collect(streamOf({ text: "a" }, { text: "b" }))).text).toBe("a,b");
    expect((await collect(client.converse(streamOf({ text: "a" }, { text: "b" })))).map(({ text }) => text)).toEqual([
      "a",
      "b",
    ]);
  });

  it("fails with what its error stands for", async () => {
    const client = probeClient(
      await startProbe(
        acting(() => {
          throw new UserNotFoundError("x");
        }),
      ),
    );
    for (const failure of callEach(client).map(failureOf)) {
      expect(await failure).toMatchObject({ code: "NotFound", reason: "USER_NOT_FOUND" });
    }
  });

  it("fails with INTERNAL and a constant text for any other error", async () => {
    const client = probeClient(
      await startProbe(
        acting(() => {
          throw Object.assign(new Error("duplicate key value"), { code: 6, details: "SQL" });
        }),
      ),
    );
    for (const failure of callEach(client).map(failureOf)) {
      expect(await failure).toMatchObject({ code: "Internal", message: "internal error", reason: "INTERNAL" });
    }
  });

  it("fails with INTERNAL, and logs the cause, when it throws before it returns anything", async () => {
    const server = await startProbe({
      produce() {
        throw new Error("at once");
      },
      converse() {
        throw new Error("at once");
      },
    });
    const client = probeClient(server);
    const calls = [collect(client.produce({})), collect(client.converse(streamOf({ text: "a" })))];
    for (const failure of calls.map(failureOf)) expect(await failure).toMatchObject({ code: "Internal" });
    for (const { err } of await server.logs.waitForCalls(2)) expect(err?.message).toBe("at once");
  });

  it("reads request metadata, and sets headers and trailers, binary ones too", async () => {
    const bytes = Buffer.from([0, 255, 1]);
    const server = await startProbe(
      acting(({ requestHeader, responseHeader, responseTrailer }) => {
        responseHeader.set("x-header", requestHeader.get("x-sent") ?? "");
        responseTrailer.set("x-trailer", "trailer");
        responseTrailer.set("x-trailer-bin", bytes.toString("base64"));
      }),
    );
    const seen: (string | null)[][] = [];
    const options = {
      headers: { "x-sent": "value" },
      onHeader: (headers: Headers) => seen.push([headers.get("x-header")]),
      onTrailer: (trailers: Headers) => seen.push([trailers.get("x-trailer"), trailers.get("x-trailer-bin")]),
    };
    for (const call of callEach(probeClient(server), options)) await call;
    expect(seen.filter(([value]) => value === "value")).toHaveLength(4);
    expect(seen.filter(([, binary]) => binary === bytes.toString("base64"))).toHaveLength(4);
  });

  it("knows its method, its address and the request id", async () => {
    let seen: HandlerContext | undefined;
    const server = await startProbe(
      acting((context) => {
        seen = context;
      }),
    );
    await probeClient(server).public({});
    expect(seen?.method).toBe(ProbeService.method.public);
    expect(seen?.service).toBe(ProbeService);
    expect(seen?.url).toBe(`http://127.0.0.1:${server.port}/probe.v1.ProbeService/Public`);
    expect(seen?.protocolName).toBe("grpc");
    expect(seen?.requestMethod).toBe("POST");
  });

  it("has a signal that is aborted when the call has ended", async () => {
    const signals: AbortSignal[] = [];
    const server = await startProbe(acting(({ signal }) => void signals.push(signal)));
    for (const call of callEach(probeClient(server))) await call;
    expect(signals).toHaveLength(4);
    for (const signal of signals) if (!signal.aborted) await once(signal, "abort");
  });
});

describe("a streaming handler", () => {
  it("is called off when its client goes away, and cleans up", async () => {
    const { promise: cleanedUp, resolve: cleanUp } = Promise.withResolvers<void>();
    const server = await startProbe({
      async *produce(_request, { signal }) {
        try {
          for (;;) {
            signal.throwIfAborted();
            yield { payload: Buffer.alloc(1000) };
          }
        } finally {
          cleanUp();
        }
      },
    });
    const request = openRequest(server.port, "/probe.v1.ProbeService/Produce");
    request.stream.end(frame(Buffer.alloc(0)));
    await once(request.stream, "data");
    request.stream.session?.destroy();
    await cleanedUp;
  });

  it("waits for a client that does not read, and ends when that client goes away", async () => {
    let yielded = 0;
    const { promise: cleanedUp, resolve: cleanUp } = Promise.withResolvers<void>();
    const server = await startProbe({
      async *produce() {
        try {
          for (;;) {
            yielded++;
            yield { payload: Buffer.alloc(10_000) };
          }
        } finally {
          cleanUp();
        }
      },
    });
    const stalled = openRequest(server.port, "/probe.v1.ProbeService/Produce");
    stalled.stream.end(frame(Buffer.alloc(0)));
    await once(stalled.stream, "response");
    stalled.stream.pause();
    // Calls of other clients take turns with the stalled one: when they are done, it has long been able to go on.
    const client = probeClient(server);
    for (let call = 0; call < 100; call++) await client.public({});
    const before = yielded;
    for (let call = 0; call < 100; call++) await client.public({});
    expect(yielded).toBe(before);
    expect(yielded).toBeLessThan(200);
    stalled.stream.session?.destroy();
    await cleanedUp;
  });

  it("may stop reading before its client has stopped sending", async () => {
    const server = await startProbe({
      async *converse(requests) {
        for await (const { text } of requests) {
          yield { text };
          return;
        }
      },
    });
    const answers = await collect(probeClient(server).converse(streamOf({ text: "a" }, { text: "b" }, { text: "c" })));
    expect(answers.map(({ text }) => text)).toEqual(["a"]);
  });

  it("may fail after some messages, which still arrive", async () => {
    const server = await startProbe({
      async *produce() {
        yield { text: "one" };
        yield { text: "two" };
        throw new UserNotFoundError("x");
      },
    });
    const received: string[] = [];
    const reading = (async () => {
      for await (const { text } of probeClient(server).produce({})) received.push(text);
    })();
    expect(await failureOf(reading)).toMatchObject({ code: "NotFound" });
    expect(received).toEqual(["one", "two"]);
  });
});
