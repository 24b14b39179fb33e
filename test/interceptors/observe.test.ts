import { describe, expect, it } from "vitest";
import { failureOf } from "../support/errors.ts";
import { probeClient, startProbe } from "../support/probe.ts";
import { frame, openRequest } from "../support/raw-http2.ts";
import { ADMIN, collect, newUsers, startTestServer, streamOf, userClient } from "../support/server.ts";

const TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT = `00-${TRACE_ID}-00f067aa0ba902b7-01`;
const PUBLIC = "/probe.v1.ProbeService/Public";

/** A line of a finished call, but for the duration. */
function line(method: string, code: string, requestId: unknown = expect.stringMatching(/^[0-9a-f]{12}-\d+$/)) {
  const [level, msg] = ["info", "call ended"];
  return { level, msg, method, code, request_id: requestId, duration_ms: expect.any(Number), time: expect.any(Number) };
}

describe("every call leaves exactly one log line", () => {
  it("when it succeeds, of each kind", async () => {
    const server = await startTestServer();
    const client = userClient(server);
    await client.createUsers(streamOf(...newUsers(2)));
    await collect(client.listUsers({}));
    await collect(client.chat(streamOf({ message: "hello" })));
    await failureOf(client.getUser({ id: "x" }));
    await server.server.stop();
    expect(server.logs.lines).toEqual([
      line("user.v1.UserService/CreateUsers", "OK"),
      line("user.v1.UserService/ListUsers", "OK"),
      line("user.v1.UserService/Chat", "OK"),
      line("user.v1.UserService/GetUser", "NOT_FOUND"),
    ]);
  });

  it("when auth, validation or the deadline refuses it", async () => {
    const server = await startProbe();
    const client = probeClient(server);
    await failureOf(client.self({}));
    await failureOf(client.public({ number: -1 }));
    await failureOf(
      client
        .converse(streamOf({ text: "!" }))
        [Symbol.asyncIterator]()
        .next(),
    );
    const late = openRequest(server.port, PUBLIC, { "grpc-timeout": "1n" });
    await late.response;
    late.stream.end();
    await server.server.stop();
    expect(server.logs.lines).toEqual([
      line("probe.v1.ProbeService/Self", "UNAUTHENTICATED"),
      line("probe.v1.ProbeService/Public", "INVALID_ARGUMENT"),
      line("probe.v1.ProbeService/Converse", "INVALID_ARGUMENT"),
      line("probe.v1.ProbeService/Public", "DEADLINE_EXCEEDED"),
    ]);
  });

  it("when its client cancels it", async () => {
    const { promise: started, resolve: start } = Promise.withResolvers<void>();
    const server = await startProbe({
      async public() {
        start();
        return new Promise(() => {});
      },
    });
    const abort = new AbortController();
    const call = probeClient(server).public({}, { signal: abort.signal });
    await started;
    abort.abort();
    await failureOf(call);
    expect(await server.logs.waitForCalls(1)).toEqual([line("probe.v1.ProbeService/Public", "CANCELLED")]);
  });

  it("when grpc-js ends it by itself: a message that is none, and one that is too large", async () => {
    const server = await startProbe();
    const garbled = openRequest(server.port, PUBLIC);
    garbled.stream.end(frame(Buffer.from([0xff, 0xff])));
    expect((await garbled.response).trailers).toMatchObject({ "grpc-status": "13" });

    const oversize = openRequest(server.port, PUBLIC);
    oversize.stream.write(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]));
    expect((await oversize.response).trailers).toMatchObject({ "grpc-status": "8" });

    expect(await server.logs.waitForCalls(2)).toEqual([
      line("probe.v1.ProbeService/Public", "INTERNAL"),
      line("probe.v1.ProbeService/Public", "RESOURCE_EXHAUSTED"),
    ]);
  });

  it("when its handler throws: the cause in the log, and nothing of it for the caller", async () => {
    const server = await startProbe({
      async public() {
        throw new Error("the disk is full");
      },
    });
    expect(await failureOf(probeClient(server).public({}))).toMatchObject({
      code: "Internal",
      message: "internal error",
      reason: "INTERNAL",
    });
    expect(await server.logs.waitForCalls(1)).toMatchObject([
      { level: "error", msg: "call failed", code: "INTERNAL", err: { type: "Error", message: "the disk is full" } },
    ]);
  });
});

describe("log lines", () => {
  it("hold no e-mail address, name or token", async () => {
    const server = await startTestServer();
    const client = userClient(server);
    const secrets = ["ada@example.com", "Lovelace", "eyJ"];
    await client.createUsers(streamOf({ email: "ada@example.com", name: "Lovelace" }));
    await failureOf(client.createUsers(streamOf({ email: "ada@example.com", name: "Lovelace" })));
    await failureOf(client.createUsers(streamOf({ email: "no ada@example.com", name: "Lovelace" })));
    await failureOf(client.getUser({ id: "ada@example.com" }));
    await collect(client.listUsers({}));
    await failureOf(client.getUser({ id: "x" }, { headers: { "x-request-id": "ada@example.com" } }));
    const text = (await server.logs.waitForCalls(6)) && server.logs.texts.join("");
    for (const secret of secrets) expect(text).not.toContain(secret);
  });

  it("name the trace that the caller belongs to", async () => {
    const server = await startProbe();
    const client = probeClient(server);
    await client.public({}, { headers: { traceparent: TRACEPARENT } });
    await client.public({}, { headers: { traceparent: "00-00000000000000000000000000000000-00f067aa0ba902b7-01" } });
    const [traced, untraced] = await server.logs.waitForCalls(2);
    expect(traced?.trace_id).toBe(TRACE_ID);
    expect(untraced).not.toHaveProperty("trace_id");
  });
});

describe("the request id", () => {
  it("is the client's, and comes back with every kind of answer", async () => {
    const server = await startTestServer();
    const client = userClient(server);
    const ids: (string | null)[] = [];
    const options = (id: string) => ({
      headers: { "x-request-id": id },
      onHeader: (headers: Headers) => void ids.push(headers.get("x-request-id")),
    });
    await client.createUsers(streamOf(...newUsers(1)), options("create-1"));
    await collect(client.listUsers({}, options("list:2")));
    await collect(client.chat(streamOf({ message: "hello" }), options("chat.3")));
    expect(ids).toEqual(["create-1", "list:2", "chat.3"]);
    expect((await server.logs.waitForCalls(3)).map((call) => call.request_id)).toEqual(ids);
  });

  it("does not come back with a success whose client sent none", async () => {
    const server = await startProbe();
    const ids: (string | null)[] = [];
    await probeClient(server).public({}, { onHeader: (headers) => void ids.push(headers.get("x-request-id")) });
    expect(ids).toEqual([null]);
  });

  it("comes back with a failure, the client's or the new one", async () => {
    const server = await startProbe();
    const ids: unknown[] = [];
    for (const sent of [{ "x-request-id": "mine" }, {}]) {
      const request = openRequest(server.port, PUBLIC, { ...sent, "grpc-timeout": "1n" });
      ids.push((await request.response).trailers["x-request-id"]);
    }
    expect(ids[0]).toBe("mine");
    expect((await server.logs.waitForCalls(2)).map((call) => call.request_id)).toEqual(ids);
  });

  it("is a new one where the client sends none, or a malformed one", async () => {
    const server = await startProbe();
    const client = probeClient(server, ADMIN);
    for (const sent of ["", "two words", "x".repeat(129), "a@b"]) {
      await client.public({}, { headers: { "x-request-id": sent } });
    }
    const ids = (await server.logs.waitForCalls(4)).map((call) => call.request_id);
    expect(new Set(ids).size).toBe(4);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{12}-\d+$/);
  });
});
