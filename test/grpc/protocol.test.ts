import { connect as connectHttp2, type OutgoingHttpHeaders } from "node:http2";
import { connect } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { startProbe } from "../support/probe.ts";
import { frame } from "../support/raw-http2.ts";
import type { TestServer } from "../support/server.ts";

const EMPTY = frame(Buffer.alloc(0));
const DETAILS = "grpc-status-details-bin";

/** The headers and trailers that answer a request, whose headers are all that gRPC wants, but for these; undefined leaves one out. */
async function answerTo({ port }: TestServer, headers: OutgoingHttpHeaders, ...messages: Buffer[]) {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  onTestFinished(() => session.destroy());
  const all = {
    ":method": "POST",
    ":path": "/probe.v1.ProbeService/Public",
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  };
  const stream = session.request(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)));
  const received: object[] = [];
  stream.on("response", (each) => received.push(each)).on("trailers", (each) => received.push(each));
  stream.on("error", () => {});
  stream.resume();
  stream.end(Buffer.concat(messages));
  await new Promise((resolve) => stream.once("close", resolve));
  return { ...Object.assign({}, ...received), reset: stream.rstCode };
}

describe("a request that is unusual", () => {
  it.each<[string, OutgoingHttpHeaders]>([
    ["lacks te: trailers", { te: undefined }],
    ["has another method", { ":method": "PUT" }],
    ["names the format of its messages", { "content-type": "application/grpc+proto" }],
    ["says that it is gRPC-Web", { "content-type": "application/grpc-web" }],
  ])("is answered like others if it %s", async (_, headers) => {
    const server = await startProbe();
    expect(await answerTo(server, headers, EMPTY)).toMatchObject({ "grpc-status": "0" });
  });

  it.each([
    ["an unknown method", "/probe.v1.ProbeService/Nothing"],
    ["an unknown service", "/nowhere.Service/Public"],
    ["a method with a query", "/probe.v1.ProbeService/Public?a=b"],
    ["a method in another case", "/probe.v1.probeservice/public"],
    ["a name of each object", "/__proto__/constructor"],
  ])("fails with UNIMPLEMENTED, but is not seen by any interceptor, if its path is that of %s", async (_, path) => {
    const server = await startProbe();
    const answer = await answerTo(server, { ":path": path }, EMPTY);
    expect(answer).toMatchObject({ "grpc-status": "12" });
    expect(answer).not.toHaveProperty(DETAILS);
    await answerTo(server, {}, EMPTY);
    expect(await server.logs.waitForCalls(1)).toMatchObject([{ code: "OK" }]);
  });

  it.each([undefined, "application/json", "text/plain"])("gets a 415 if its content type is %s", async (type) => {
    const server = await startProbe();
    const answer = await answerTo(server, { "content-type": type }, EMPTY);
    expect(answer).toMatchObject({ ":status": 415 });
    expect(answer).not.toHaveProperty("grpc-status");
  });

  it("is reset if its path does not begin with a slash", async () => {
    const server = await startProbe();
    expect(await answerTo(server, { ":path": "probe.v1.ProbeService/Public" }, EMPTY)).toEqual({ reset: 1 });
  });

  it.each([
    ["no message", []],
    ["two messages", [EMPTY, EMPTY]],
    ["part of a message", [EMPTY.subarray(0, 3)]],
  ])("fails with UNIMPLEMENTED, with details and a log line, if it has %s where one is due", async (_, messages) => {
    const server = await startProbe();
    expect(await answerTo(server, {}, ...messages)).toMatchObject({
      "grpc-status": "12",
      [DETAILS]: expect.any(String),
    });
    expect(await server.logs.waitForCalls(1)).toMatchObject([{ code: "UNIMPLEMENTED" }]);
  });
});

describe("a connection that does not speak HTTP/2", () => {
  it.each([
    ["HTTP/1.1", Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")],
    ["TLS", Buffer.from("160301020001000001fc0303", "hex")],
    ["nonsense", Buffer.from("hello\r\n\r\n")],
  ])("is closed: %s", async (_, bytes) => {
    const server = await startProbe();
    const socket = connect(server.port, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => {});
    socket.resume();
    socket.write(bytes);
    await new Promise((resolve) => socket.once("close", resolve));
    expect(await answerTo(server, {}, EMPTY)).toMatchObject({ "grpc-status": "0" });
  });
});
