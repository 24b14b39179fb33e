import { once } from "node:events";
import { connect, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { expect, it, onTestFinished } from "vitest";
import { received } from "../../src/gateway/received.ts";

/** Opens a stream that is answered so. */
async function openStream(answer: (stream: ServerHttp2Stream) => void) {
  const server = createServer().on("stream", answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(() => {
    session.destroy();
    server.close();
  });
  return session.request({ ":path": "/" });
}

it.each([
  { size: 0, how: "nothing" },
  { size: 1, how: "a byte" },
  { size: 50_000, how: "less than a window" },
])("is read to the end after the stream has been closed: $how", async ({ size }) => {
  const bytes = Buffer.alloc(size, "x");
  const stream = await openStream((served) => {
    served.respond({ ":status": 200 });
    served.end(bytes);
  });
  await once(stream, "response");
  await expect.poll(() => stream.closed).toBe(true);
  expect(await buffer(received(stream))).toEqual(bytes);
});

it("is read as it comes, however much it is", async () => {
  const bytes = Buffer.alloc(1_000_000, "x");
  const stream = await openStream((served) => {
    served.respond({ ":status": 200 });
    served.end(bytes);
  });
  expect(await buffer(received(stream))).toEqual(bytes);
});

it("ends with a stream that is reset", async () => {
  const stream = await openStream((served) => {
    served.respond({ ":status": 200 });
    served.write("x", () => served.close());
  });
  stream.on("error", () => {});
  const read = received(stream);
  expect((await read.next()).value).toEqual(Buffer.from("x"));
  expect(await read.next()).toEqual({ done: true, value: undefined });
});
