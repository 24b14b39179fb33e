import { ConnectError, createClient } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "../../src/gen/health/v1/health_pb.ts";
import { failureOf, toFailure } from "../support/errors.ts";
import { callFields, FLAG, frameOf, literalBlock, PREFACE, TYPE } from "../support/http2-frames.ts";
import { probeClient, startProbe } from "../support/probe.ts";
import { openRawConnection } from "../support/raw-connection.ts";
import { collect, startTestServer, streamOf, transportTo, userClient } from "../support/server.ts";

const STOPPING = { code: "Unavailable", message: "the server is stopping", reason: "SERVER_STOPPING" };

/** A request stream that says one thing and then waits for ever. */
async function* oneAndThenSilence<T>(first: T): AsyncGenerator<T> {
  yield first;
  await new Promise(() => {});
}

describe("a graceful stop", () => {
  it("tells health watchers NOT_SERVING, and ends them with UNAVAILABLE", async () => {
    const server = await startTestServer();
    const watch = createClient(Health, transportTo(server, null)).watch({})[Symbol.asyncIterator]();
    expect((await watch.next()).value).toMatchObject({ status: ServingStatus.SERVING });
    const stopped = server.server.stop();
    expect((await watch.next()).value).toMatchObject({ status: ServingStatus.NOT_SERVING });
    expect(await failureOf(watch.next())).toMatchObject(STOPPING);
    await stopped;
  });

  it("ends live streams with UNAVAILABLE, after what was sent before", async () => {
    const server = await startTestServer();
    const answers = userClient(server)
      .chat(oneAndThenSilence({ message: "hello" }))
      [Symbol.asyncIterator]();
    expect((await answers.next()).value).toMatchObject({ message: "Echo: hello" });
    const stopped = server.server.stop();
    expect(await failureOf(answers.next())).toMatchObject(STOPPING);
    await stopped;
    expect(await server.logs.waitForCalls(1, "Chat")).toMatchObject([{ code: "UNAVAILABLE" }]);
  });

  it("tells the handler of a live stream why, and sends its trailers", async () => {
    const { promise: reason, resolve } = Promise.withResolvers<unknown>();
    const server = await startProbe({
      async *produce(_request, { signal, responseTrailer }) {
        responseTrailer.set("x-resume", "after-1");
        yield { text: "1" };
        await new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            resolve(signal.reason);
            reject(signal.reason);
          });
        });
      },
    });
    const answers = probeClient(server).produce({})[Symbol.asyncIterator]();
    await answers.next();
    const stopped = server.server.stop();
    const error = await answers.next().then(
      () => expect.fail("the stream went on"),
      (thrown: unknown) => ConnectError.from(thrown),
    );
    expect(toFailure(error)).toMatchObject(STOPPING);
    expect(error.metadata.get("x-resume")).toBe("after-1");
    expect(await reason).toMatchObject({ name: "ServerStoppingError" });
    await stopped;
  });

  it("lets calls with a deadline finish", async () => {
    const { promise: started, resolve: start } = Promise.withResolvers<void>();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const server = await startProbe({
      async public() {
        start();
        await released;
        return { text: "finished" };
      },
    });
    const call = probeClient(server).public({});
    await started;
    const stopped = server.server.stop();
    release();
    await expect(call).resolves.toMatchObject({ text: "finished" });
    await stopped;
  });

  it("ends calls that outstay it with UNAVAILABLE", async () => {
    const { promise: started, resolve: start } = Promise.withResolvers<void>();
    const server = await startProbe(
      {
        async public() {
          start();
          return new Promise(() => {});
        },
      },
      { environment: { SHUTDOWN_TIMEOUT: "20ms" } },
    );
    const call = failureOf(probeClient(server).public({}));
    await started;
    await server.server.stop();
    expect(await call).toMatchObject(STOPPING);
  });

  it("still asks whether a client stream is complete", async () => {
    const server = await startProbe();
    const headers = literalBlock(callFields("/probe.v1.ProbeService/Collect"));
    const { socket, received } = await openRawConnection(
      server.port,
      PREFACE,
      frameOf(TYPE.SETTINGS),
      frameOf(TYPE.HEADERS, FLAG.END_HEADERS, 1, headers),
    );
    while (server.server.openCalls === 0) await new Promise(setImmediate);
    const stopped = server.server.stop();
    await received(TYPE.GOAWAY);
    socket.write(frameOf(TYPE.DATA, FLAG.END_STREAM, 1, Buffer.alloc(5)));
    await received(TYPE.PING);
    socket.destroy();
    await stopped;
    expect(await server.logs.waitForCalls(1, "Collect")).toMatchObject([{ code: "CANCELLED" }]);
  });

  it("accepts no new connection", async () => {
    const server = await startTestServer();
    await server.server.stop();
    expect(await failureOf(userClient(server).getUser({ id: "x" }))).toMatchObject({ code: "Unavailable" });
  });

  it("waits, still serving, while load balancers take notice", async () => {
    const server = await startTestServer({ environment: { SHUTDOWN_DELAY: "50ms" } });
    const watch = createClient(Health, transportTo(server, null)).watch({})[Symbol.asyncIterator]();
    await watch.next();
    const stopped = server.server.stop();
    await watch.next();
    expect(await collect(userClient(server).chat(streamOf({ message: "hello" })))).toHaveLength(1);
    await stopped;
  });
});
