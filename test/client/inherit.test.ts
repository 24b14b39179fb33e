import { createContextValues } from "@connectrpc/connect";
import { Metadata, Server, ServerCredentials, type ServerUnaryCall } from "@grpc/grpc-js";
import { describe, expect, it, onTestFinished } from "vitest";
import { toGrpcDefinition } from "../../src/client/grpc-js.ts";
import { type IncomingCall, inherit } from "../../src/client/inherit.ts";
import { createFake, type FakeServer } from "../../src/testing/testing.ts";
import { ProbeService } from "../gen/probe/v1/probe_pb.ts";
import { publishedClient, serviceClient } from "../support/client.ts";
import { failureOf } from "../support/errors.ts";
import { startProbe } from "../support/probe.ts";

const HEADERS = {
  "x-request-id": "mine",
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  tracestate: "a=b",
  "x-other": "not passed on",
};

/** A fake that notes the time that its calls have left, and answers when it is told to. */
async function startInner(): Promise<FakeServer & { left: (number | undefined)[] }> {
  const left: (number | undefined)[] = [];
  const fake = await createFake({
    async getUser(_request, { timeoutMs }) {
      left.push(timeoutMs());
      return {};
    },
    async listUsersPage(_request, { signal }) {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      return {};
    },
  });
  onTestFinished(() => fake.stop());
  return { ...fake, left };
}

describe("inherit", () => {
  it("passes on what a handler's call has left, its request id and its trace, and no more", async () => {
    const inner = await startInner();
    const client = publishedClient(inner);
    const outer = await startProbe({
      async public(_request, context) {
        await client.getUser({ id: "ada" }, inherit(context, { reserveMs: 500 }));
        return {};
      },
    });
    await serviceClient(ProbeService, outer).public({}, { timeoutMs: 3000, headers: HEADERS });
    const [left = 0] = inner.left;
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(2500);
    const [call] = inner.calls;
    const passed = ["x-request-id", "traceparent", "tracestate", "x-other"].map((name) => call?.headers.get(name));
    expect(passed).toEqual(["mine", HEADERS.traceparent, "a=b", null]);
  });

  it("takes no longer than the method's own default deadline", async () => {
    const inner = await startInner();
    const context = { signal: new AbortController().signal, requestHeader: new Headers(), timeoutMs: () => 600_000 };
    await publishedClient(inner).getUser({ id: "ada" }, inherit(context));
    expect(inner.left[0]).toBeLessThanOrEqual(5000);
  });

  it("leaves the default deadline where the incoming call has none", async () => {
    const inner = await startInner();
    const context = { signal: new AbortController().signal, requestHeader: new Headers(), timeoutMs: () => undefined };
    const options = inherit(context);
    expect(options.timeoutMs).toBeUndefined();
    await publishedClient(inner).getUser({ id: "ada" }, { ...options, contextValues: createContextValues() });
    expect(inner.left[0]).toBeLessThanOrEqual(5000);
  });

  it("fails with DEADLINE_EXCEEDED, and calls nobody, if no more than the reserve is left", async () => {
    const inner = await startInner();
    const context = { signal: new AbortController().signal, requestHeader: new Headers(), timeoutMs: () => 50 };
    const call = publishedClient(inner).getUser({ id: "ada" }, inherit(context));
    expect(await failureOf(call)).toMatchObject({ code: "DeadlineExceeded" });
    expect(inner.calls).toEqual([]);
  });

  it("cancels the call when the incoming one is cancelled", async () => {
    const inner = await startInner();
    const client = publishedClient(inner);
    const calls: Promise<unknown>[] = [];
    const outer = await startProbe({
      async public(_request, context) {
        calls.push(failureOf(client.listUsersPage({}, inherit(context))));
        return new Promise(() => {});
      },
    });
    const cancelling = new AbortController();
    const call = serviceClient(ProbeService, outer).public({}, { signal: cancelling.signal });
    await expect.poll(() => inner.calls).toHaveLength(1);
    cancelling.abort();
    expect(await failureOf(call)).toMatchObject({ code: "Canceled" });
    expect(await calls[0]).toMatchObject({ code: "Canceled" });
  });

  it("takes a call of a grpc-js server, too", async () => {
    const inner = await startInner();
    const client = publishedClient(inner);
    const seen: string[] = [];
    const server = new Server();
    onTestFinished(() => server.forceShutdown());
    server.addService(toGrpcDefinition(ProbeService), {
      async public(call: ServerUnaryCall<unknown, unknown>, callback: (error: null, response: object) => void) {
        const options = inherit(call);
        seen.push(new Headers(options.headers).get("x-request-id") ?? "");
        await client.getUser({ id: "ada" }, options);
        callback(null, {});
      },
    });
    const port = await new Promise<number>((resolve) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (_error, bound) => resolve(bound));
    });
    await serviceClient(ProbeService, { address: `127.0.0.1:${port}` }).public(
      {},
      { timeoutMs: 3000, headers: HEADERS },
    );
    expect(seen).toEqual(["mine"]);
    expect(inner.left[0]).toBeLessThanOrEqual(2950);
  });

  it("listens once to a call, however many are made on its behalf", () => {
    const listeners: (() => void)[] = [];
    const call: IncomingCall = {
      metadata: new Metadata(),
      cancelled: false,
      getDeadline: () => Number.POSITIVE_INFINITY,
      once: (_event, listener) => listeners.push(listener),
    };
    const [first, second] = [inherit(call), inherit(call)];
    expect(listeners).toHaveLength(1);
    for (const cancel of listeners) cancel();
    expect([first.signal?.aborted, second.signal?.aborted]).toEqual([true, true]);
    expect(inherit({ ...call, cancelled: true }).signal?.aborted).toBe(true);
  });
});
