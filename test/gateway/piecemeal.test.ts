import { expect, test } from "vitest";
import { unlessPiecemeal } from "../../src/gateway/piecemeal.ts";
import { frame } from "../support/raw-http2.ts";
import { collect, streamOf } from "../support/server.ts";

/** Bytes in pieces of so many. */
function inPieces(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.subarray(at * size, (at + 1) * size));
}

test("a message in pieces of a byte is refused", async () => {
  const reading = collect(unlessPiecemeal(streamOf(...inPieces(frame(Buffer.alloc(1000)), 1))));
  await expect(reading).rejects.toThrow("[resource_exhausted] a message arrives in too many pieces");
});

test.each([
  ["many small messages", inPieces(Buffer.concat(Array.from({ length: 3000 }, () => frame(Buffer.alloc(7)))), 1)],
  ["empty messages", inPieces(Buffer.concat(Array.from({ length: 3000 }, () => frame(Buffer.alloc(0)))), 3)],
  ["a large message in small pieces", inPieces(frame(Buffer.alloc(60_000)), 80)],
  ["messages that share pieces", inPieces(Buffer.concat([frame(Buffer.alloc(3000)), frame(Buffer.alloc(9))]), 700)],
])("%s pass", async (_, pieces) => {
  expect(await collect(unlessPiecemeal(streamOf(...pieces)))).toEqual(pieces);
});
