import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ProbeRequestSchema } from "../gen/probe/v1/probe_pb.ts";
import { failureOf } from "../support/errors.ts";
import { probeClient, startProbe } from "../support/probe.ts";
import { frame, openRequest } from "../support/raw-http2.ts";
import { collect, streamOf } from "../support/server.ts";

describe("validation", () => {
  it("lists every violation of a message, in the names of the contract", async () => {
    const client = probeClient(await startProbe());
    expect(await failureOf(client.public({ text: `${"x".repeat(65)}!`, number: -1 }))).toMatchObject({
      code: "InvalidArgument",
      message:
        "invalid request: text must be at most 64 bytes; text contains substring `!`; number must be greater than or equal to 0",
      violations: ["text: STRING_MAX_BYTES", "text: STRING_NOT_CONTAINS", "number: INT32_GTE"],
    });
  });

  it("keeps the handler from a message that breaks a rule, and lets it see those before", async () => {
    const seen: string[] = [];
    const server = await startProbe({
      async collect(requests) {
        for await (const { text } of requests) seen.push(text);
        return {};
      },
    });
    const requests = streamOf({ text: "one" }, { text: "two" }, { text: "three!" }, { text: "four" });
    expect(await failureOf(probeClient(server).collect(requests))).toMatchObject({
      violations: ["messages[2].text: STRING_NOT_CONTAINS"],
    });
    expect(seen.every((text) => ["one", "two"].includes(text))).toBe(true);
  });

  it("never starts a unary or server-streaming handler with such a message", async () => {
    let started = false;
    const server = await startProbe({
      public: async () => {
        started = true;
        return {};
      },
      // biome-ignore lint/correctness/useYield: the handler must never run, so it has nothing to yield
      async *produce() {
        started = true;
      },
    });
    const client = probeClient(server);
    await failureOf(client.public({ number: -1 }));
    await failureOf(collect(client.produce({ number: -1 })));
    expect(started).toBe(false);
  });

  it("calls off a handler whose stream breaks a rule", async () => {
    const { promise: calledOff, resolve } = Promise.withResolvers<unknown>();
    const server = await startProbe({
      async *converse(requests, { signal }) {
        signal.addEventListener("abort", () => resolve(signal.reason));
        for await (const { text } of requests) yield { text };
      },
    });
    const talk = collect(probeClient(server).converse(streamOf({ text: "fine" }, { text: "bad!" })));
    expect(await failureOf(talk)).toMatchObject({ violations: ["messages[1].text: STRING_NOT_CONTAINS"] });
    expect(await calledOff).toMatchObject({ name: "CallCancelledError" });
  });
});

describe("a request message", () => {
  const field = (bytes: number) => Buffer.concat([Buffer.of(0x0a), varint(bytes), Buffer.alloc(bytes, "x")]);
  const exhausted = { "grpc-status": "8", "grpc-status-details-bin": expect.any(String) };

  it("fails with RESOURCE_EXHAUSTED if it is larger than its method allows, in unary calls and in streams", async () => {
    const server = await startProbe();
    for (const method of ["Public", "Produce", "Collect", "Converse"]) {
      const request = openRequest(server.port, `/probe.v1.ProbeService/${method}`);
      request.stream.end(frame(field(65_536)));
      expect((await request.response).trailers, method).toMatchObject(exhausted);
    }
    expect(await server.logs.waitForCalls(4)).toMatchObject(Array(4).fill({ code: "RESOURCE_EXHAUSTED" }));
  });

  it("may be as large as that", async () => {
    const server = await startProbe();
    const request = openRequest(server.port, "/probe.v1.ProbeService/Public");
    request.stream.end(frame(field(65_536 - 4)));
    expect((await request.response).trailers).toMatchObject({ "grpc-status": "3" });
  });

  it("fails with RESOURCE_EXHAUSTED at its length, if that is of no message of the service", async () => {
    const server = await startProbe();
    for (const flag of [0, 1]) {
      const request = openRequest(server.port, "/probe.v1.ProbeService/Public", { "grpc-encoding": "gzip" });
      request.stream.write(Buffer.of(flag, 0xff, 0xff, 0xff, 0xff));
      expect((await request.response).trailers).toMatchObject(exhausted);
    }
  });

  it("may hold fields that nobody knows: they are left out", async () => {
    let seen: object | undefined;
    const server = await startProbe({
      public: async (request) => {
        seen = request;
        return {};
      },
    });
    const request = openRequest(server.port, "/probe.v1.ProbeService/Public");
    request.stream.end(frame(Buffer.concat([field(1), Buffer.of(0x78, 1, 0x7a, 1, 0x61)])));
    expect((await request.response).trailers).toMatchObject({ "grpc-status": "0" });
    expect(seen).toEqual(create(ProbeRequestSchema, { text: "x" }));
  });

  it("fails with INTERNAL if it cannot be decoded, which is logged and told with details", async () => {
    const server = await startProbe();
    const groups = Buffer.alloc(10_000, 0x7b);
    const bad = [Buffer.of(0xff, 0xff), Buffer.of(0x0a, 1, 0xff), Buffer.of(0x0a, 5, 0x61), Buffer.of(0x07), groups];
    for (const bytes of bad) {
      const request = openRequest(server.port, "/probe.v1.ProbeService/Public");
      request.stream.end(frame(bytes));
      expect((await request.response).trailers).toMatchObject({
        "grpc-status": "13",
        "grpc-message": "Error%20deserializing%20request",
        "grpc-status-details-bin": expect.any(String),
      });
    }
    expect(await server.logs.waitForCalls(bad.length)).toMatchObject(bad.map(() => ({ code: "INTERNAL" })));
  });
});

function varint(value: number): Buffer {
  return value < 0x80 ? Buffer.of(value) : Buffer.concat([Buffer.of((value & 0x7f) | 0x80), varint(value >>> 7)]);
}
