import { once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { gathered } from "../../src/gateway/gathered.ts";
import { collect, startTestServer, streamOf } from "../support/server.ts";

test("small pieces are put together, in order, between large ones", async () => {
  const bytes = Buffer.from(Array.from({ length: 60_000 }, (_, index) => index % 251));
  const small = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, at) => bytes.subarray(from + at, from + at + 1));
  const pieces = [...small(0, 20_000), bytes.subarray(20_000, 40_000), ...small(40_000, 60_000)];
  const parts = await collect(gathered(streamOf(...pieces)));
  expect(Buffer.concat(parts).equals(bytes)).toBe(true);
  expect(parts.length).toBeLessThan(24);
});

test("a few pieces are handed on as they are", async () => {
  const pieces = [Buffer.from("a"), Buffer.alloc(0), Buffer.alloc(5000)];
  expect(await collect(gathered(streamOf(...pieces)))).toEqual(pieces);
});

test("a request in chunks of one byte is read", async () => {
  const { server } = await startTestServer({ environment: { AUTH: "none", HTTP_PORT: "0" } });
  const socket = connect(server.httpPort ?? 0, "127.0.0.1");
  await once(socket, "connect");
  const head =
    "POST /user.v1.UserService/GetUser HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\n";
  const chunks = [...JSON.stringify({ id: "x".repeat(100) })].map((byte) => `1\r\n${byte}\r\n`).join("");
  socket.write(`${head}transfer-encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`);
  expect(await text(socket)).toMatch(/^HTTP\/1.1 404 .*"not_found"/s);
});
