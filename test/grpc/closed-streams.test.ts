import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import type { ServerHttp2Stream } from "node:http2";
import { expect, it, onTestFinished } from "vitest";
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
