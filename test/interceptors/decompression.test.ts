import { once } from "node:events";
import { deflateSync, gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { BYTES_PER_TURN } from "../../src/interceptors/decompression.ts";
import { ProbeRequestSchema } from "../gen/probe/v1/probe_pb.ts";
import { startProbe } from "../support/probe.ts";
import { frame, openRequest, type RawRequest } from "../support/raw-http2.ts";
import type { TestServer } from "../support/server.ts";

const COMPRESS = { gzip: gzipSync, deflate: deflateSync };
const ENCODINGS = ["gzip", "deflate"] as const;

function message(text: string): Uint8Array {
  return toBinary(ProbeRequestSchema, create(ProbeRequestSchema, { text }));
}

function open(server: TestServer, method: string, encoding: string): RawRequest {
  return openRequest(server.port, `/probe.v1.ProbeService/${method}`, { "grpc-encoding": encoding });
}

async function answerTo(server: TestServer, method: string, encoding: string, bytes: Buffer) {
  const request = open(server, method, encoding);
  request.stream.end(bytes);
  const { trailers, body } = await request.response;
  return {
    status: trailers["grpc-status"],
    text: body.subarray(7).toString(),
    accepted: trailers["grpc-accept-encoding"],
    details: trailers["grpc-status-details-bin"] !== undefined,
  };
}

describe.each(ENCODINGS)("a request that is compressed with %s", (encoding) => {
  const compressed = (text: string) => frame(COMPRESS[encoding](message(text)), 1);

  it("is read, whole, byte by byte, and as one of many", async () => {
    const server = await startProbe();
    expect(await answerTo(server, "Public", encoding, compressed("hello"))).toMatchObject({
      status: "0",
      text: "hello",
    });
    const many = Buffer.concat([compressed("a"), compressed("b"), frame(message("c")), compressed("d")]);
    expect(await answerTo(server, "Collect", encoding, many)).toMatchObject({ status: "0", text: "a,b,c,d" });
    expect(await answerTo(server, "Collect", encoding, Buffer.alloc(0))).toMatchObject({ status: "0" });

    const slow = open(server, "Collect", encoding);
    for (const byte of compressed("hello")) {
      slow.stream.write(Buffer.of(byte));
      await new Promise(setImmediate);
    }
    slow.stream.end();
    expect((await slow.response).body.subarray(7).toString()).toBe("hello");
  });

  it("fails with INTERNAL if it is cut, empty or something else", async () => {
    const server = await startProbe();
    const bytes = COMPRESS[encoding](message("hello"));
    for (const bad of [bytes.subarray(0, -4), Buffer.alloc(0), message("hello")]) {
      expect(await answerTo(server, "Public", encoding, frame(bad, 1))).toMatchObject({ status: "13", details: true });
    }
    expect(await server.logs.waitForCalls(3)).toMatchObject(Array(3).fill({ code: "INTERNAL" }));
  });

  it("fails with RESOURCE_EXHAUSTED if it is too large, once decompressed", async () => {
    const server = await startProbe();
    const bomb = COMPRESS[encoding](Buffer.alloc(20_000_000));
    expect(await answerTo(server, "Public", encoding, frame(bomb, 1))).toMatchObject({ status: "8", details: true });
    const large = COMPRESS[encoding](Buffer.alloc(65_537));
    expect(await answerTo(server, "Public", encoding, frame(large, 1))).toMatchObject({ status: "8", details: true });
  });

  it("waits for its turn, but not for those that are silent", async () => {
    const seen: string[] = [];
    const environment = { MAX_DECOMPRESSION_BYTES: String(BYTES_PER_TURN) };
    const server = await startProbe({}, { environment });
    const silent = Array.from({ length: 3 }, () => open(server, "Converse", encoding));
    for (const { stream } of silent.slice(1)) {
      stream.write(compressed("hello"));
      await once(stream, "response");
    }
    expect(await answerTo(server, "Public", encoding, compressed("first"))).toMatchObject({ text: "first" });

    const slow = open(server, "Public", encoding);
    slow.stream.write(compressed("slow").subarray(0, 8));
    const waiting = open(server, "Public", encoding);
    waiting.response.then(
      () => seen.push("waiting"),
      () => {},
    );
    await untilReceived(server);
    waiting.stream.end(compressed("waiting"));
    await untilReceived(server);
    expect(await answerTo(server, "Public", "identity", frame(message("plain")))).toMatchObject({ text: "plain" });
    expect(seen).toEqual([]);

    slow.stream.end(compressed("slow").subarray(8));
    expect((await slow.response).body.subarray(7).toString()).toBe("slow");
    expect((await waiting.response).body.subarray(7).toString()).toBe("waiting");
    for (const { stream, response } of silent) {
      stream.end(compressed("awake"));
      expect((await response).trailers).toMatchObject({ "grpc-status": "0" });
    }
  });
});

/** Waits for a few calls, made one after the other: what was sent before has surely been read. */
async function untilReceived(server: TestServer): Promise<void> {
  for (let round = 0; round < 3; round++) await answerTo(server, "Public", "identity", frame(message("")));
}

describe("a request whose encoding is not known", () => {
  it.each(["br", "zstd", "GZIP", "gzip,deflate", "__proto__"])(
    "fails with UNIMPLEMENTED, and is told those that are: %s",
    async (encoding) => {
      const server = await startProbe();
      expect(await answerTo(server, "Public", encoding, frame(message("x")))).toMatchObject({
        status: "12",
        accepted: "identity,deflate,gzip",
        details: true,
      });
    },
  );
});

describe("the flag of a message", () => {
  it.each([
    ["that it is compressed, of a call that names no encoding", 1, "identity"],
    ["nothing that is known", 2, "identity"],
    ["nothing that is known, in all bits", 255, "identity"],
    ["nothing that is known, of a call that names an encoding", 2, "gzip"],
  ])("fails with INTERNAL if it says %s", async (_, flag, encoding) => {
    const server = await startProbe();
    expect(await answerTo(server, "Public", encoding, frame(message("x"), flag))).toMatchObject({
      status: "13",
      details: true,
    });
    expect(await answerTo(server, "Collect", encoding, frame(message("x"), flag))).toMatchObject({
      status: "13",
      details: true,
    });
  });
});
