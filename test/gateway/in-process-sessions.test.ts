import { once } from "node:events";
import { constants, createServer, type ServerHttp2Stream } from "node:http2";
import { duplexPair } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import { InProcessSessions } from "../../src/gateway/in-process-sessions.ts";

/** Sessions to a server that answers when it is told to. */
function startSessions() {
  const server = createServer();
  const received: ServerHttp2Stream[] = [];
  server.on("stream", (stream) => {
    stream.on("error", () => {});
    received.push(stream);
  });
  let opened = 0;
  const sessions = new InProcessSessions(() => {
    opened++;
    const [near, far] = duplexPair();
    server.emit("connection", far);
    return near;
  }, 1000);
  onTestFinished(() => sessions.close());
  const open = (path: string) => sessions.request("POST", path, {}, {});
  return { open, received, opened: () => opened };
}

test("a call outlives any number of others that are cancelled", async () => {
  const { open, received, opened } = startSessions();
  const lasting = await open("/lasting");
  lasting.on("error", () => {});
  await expect.poll(() => received.length).toBe(1);
  // Node breaks a connection off after a thousand.
  for (let round = 0; round < 15; round++) {
    const calls = await Promise.all(Array.from({ length: 100 }, () => open("/cancelled")));
    await Promise.all(
      calls.map(async (call) => {
        call.close(constants.NGHTTP2_CANCEL);
        await once(call, "close");
      }),
    );
  }
  received[0]?.respond({ ":status": 200 }, { endStream: true });
  expect((await once(lasting, "response"))[0]).toMatchObject({ ":status": 200 });
  lasting.close();
  expect(opened()).toBeGreaterThan(1);
});

test("a call outlives large requests of others", async () => {
  const { open, received } = startSessions();
  const uploads = await Promise.all(Array.from({ length: 20 }, () => open("/large")));
  for (const upload of uploads) upload.on("error", () => {}).write(Buffer.alloc(1_000_000));
  const lasting = await open("/lasting");
  await expect.poll(() => received.length).toBe(21);
  received[20]?.respond({ ":status": 200 }, { endStream: true });
  const ended = Promise.race([once(lasting, "response"), once(lasting, "error")]);
  expect((await ended)[0]).toMatchObject({ ":status": 200 });
  for (const stream of [lasting, ...uploads]) stream.close(constants.NGHTTP2_CANCEL);
});

test("a call that was answered before its request was sent is over", async () => {
  const { open, received } = startSessions();
  const call = await open("/refused");
  call.on("error", () => {}).write(Buffer.alloc(200_000));
  await expect.poll(() => received.length).toBe(1);
  // As grpc-js does, so that node:http2 leaves it to the client to end the stream.
  received[0]?.on("readable", () => {});
  received[0]?.respond({ ":status": 200, "grpc-status": "16" }, { endStream: true });
  const closed = once(call, "close");
  expect((await once(call, "response"))[0]).toMatchObject({ "grpc-status": "16" });
  call.resume();
  await closed;
});
