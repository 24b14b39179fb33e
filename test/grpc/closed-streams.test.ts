import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { connect, constants, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { ClosedStreams } from "../../src/grpc/closed-streams.ts";
import { failureOf } from "../support/errors.ts";
import { probeClient, startProbe } from "../support/probe.ts";

it("leaves nothing of a call to the stream that it came by, however it ended", async () => {
  const closed: ServerHttp2Stream[] = [];
  const onClosed = (message: unknown) => void closed.push((message as { stream: ServerHttp2Stream }).stream);
  subscribe("http2.server.stream.close", onClosed);
  onTestFinished(() => void unsubscribe("http2.server.stream.close", onClosed));
  const started = Promise.withResolvers<void>();
  const server = await startProbe({
    async brief(_request, { signal }) {
      started.resolve();
      await once(signal, "abort");
      return {};
    },
  });
  const client = probeClient(server);

  await client.public({ text: "answered" });
  await failureOf(client.self({}));
  const leaving = new AbortController();
  const left = failureOf(client.brief({}, { signal: leaving.signal }));
  await started.promise;
  leaving.abort();
  await left;
  await server.logs.waitForCalls(3);

  while (closed.length < 3) await new Promise(setImmediate);
  // The listeners go after those have been told that the stream is closed.
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  expect(closed.map((stream) => stream.eventNames())).toEqual([[], [], []]);
});

it("leaves the listeners to a stream that is closed, until it is over", async () => {
  const server = createServer();
  const opened = once(server, "stream");
  await once(server.listen(0, "127.0.0.1"), "listening");
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(() => {
    client.destroy();
    server.close();
  });
  client.request({ ":method": "POST" }).on("error", () => {});
  const [stream] = (await opened) as [ServerHttp2Stream];
  stream.on("error", () => {});
  const streams = new ClosedStreams();
  streams.add(stream);
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  expect(stream.listenerCount("error")).toBeGreaterThan(0);
  const over = new Promise((resolve) => stream.once("close", resolve));
  stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  await over;
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  expect(stream.eventNames()).toEqual([]);
});
