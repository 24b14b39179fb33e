import { once } from "node:events";
import { connect as connectHttp2, type OutgoingHttpHeaders } from "node:http2";
import { connect as connectTcp } from "node:net";
import { duplexPair } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { createGateway } from "../../src/gateway/gateway.ts";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { listen } from "../../src/grpc/listener.ts";
import { PREFACE } from "../support/http2-frames.ts";
import { ADMIN, startTestServer, tokenFor } from "../support/server.ts";

const GET_USER = "/user.v1.UserService/GetUser";
const WATCH = "/user.v1.UserService/WatchUsers";
const NOBODY = '{"id":"nobody"}';
const JSON_TYPE = { "content-type": "application/json" };

async function startGateway(environment: Record<string, string> = {}) {
  const started = await startTestServer({ environment: { HTTP_PORT: "0", AUTH: "none", ...environment } });
  const port = started.server.httpPort ?? 0;
  const url = `http://127.0.0.1:${port}`;
  const post = (headers: Record<string, string> = {}, body = NOBODY) =>
    fetch(url + GET_USER, { method: "POST", headers: { ...JSON_TYPE, ...headers }, body });
  return { ...started, httpPort: port, post };
}

/** Opens a connection and sends bytes. */
async function send(port: number, ...chunks: (string | Buffer)[]) {
  const socket = connectTcp(port, "127.0.0.1");
  socket.on("error", () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  socket.write(Buffer.concat(chunks.map((chunk) => Buffer.from(chunk))));
  return socket;
}

function requestOf(
  path: string,
  headers: Record<string, string | number | string[]>,
  body: string | Buffer = "",
): string {
  const given = { host: "localhost", "content-length": body.length, ...headers };
  const lines = Object.entries(given).flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}\r\n`));
  return `POST ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
}

/** Calls GetUser over HTTP/2, as the first request of a connection. */
async function overHttp2(port: number, headers: OutgoingHttpHeaders) {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  onTestFinished(() => session.destroy());
  const stream = session.request({ ":method": "POST", ":path": GET_USER, ...JSON_TYPE, ...headers });
  stream.end(NOBODY);
  const [answer] = await once(stream, "response");
  return { status: answer[":status"], body: JSON.parse(await text(stream)) };
}

describe("who calls", () => {
  test("is refused over HTTP/1.1 who sends two tokens, the first of them good", async () => {
    const { httpPort } = await startGateway({ AUTH: "jwt" });
    const authorization = [`Bearer ${await tokenFor(ADMIN)}`, "Bearer other"];
    const socket = await send(
      httpPort,
      requestOf(GET_USER, { ...JSON_TYPE, authorization, connection: "close" }, NOBODY),
    );
    expect(await text(socket)).toMatch(/^HTTP\/1.1 401 /);
  });

  test("is limited by their own address, whatever they say about it", async () => {
    const { post } = await startGateway({ RATE_LIMIT_PER_ADDRESS: "2", RATE_LIMIT_BURST: "1s" });
    const forged = ["198.51.100.1", "198.51.100.2", "198.51.100.3"];
    const answers = await Promise.all(
      forged.map((address) => post({ "x-gateway-caller": address, "x-forwarded-for": address })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([404, 404, 429]);
  });
});

describe("timeouts", () => {
  test.each(["300000000", "2147483648", "9999999999"])("may be long: %s ms", async (timeout) => {
    const { post } = await startGateway();
    expect((await post({ "connect-timeout-ms": timeout })).status).toBe(404);
  });

  test.each(["600H", "99999999H", "9999999M", "100000S"])("may be long in gRPC-Web: %s", async (timeout) => {
    const { post, logs } = await startGateway();
    const headers = { "content-type": "application/grpc-web+json", "grpc-timeout": timeout };
    const framed = `\0\0\0\0${String.fromCharCode(NOBODY.length)}${NOBODY}`;
    await (await post(headers, framed)).text();
    expect((await logs.waitForCalls(1, "GetUser"))[0]).toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("requests", () => {
  test("are as large as their method has them", async () => {
    const { post } = await startGateway();
    const answer = await post({}, JSON.stringify({ id: "x".repeat(200_000) }));
    expect(answer.status).toBe(429);
    expect(await answer.json()).toMatchObject({ message: expect.stringContaining("larger than configured") });
  });

  test("have headers of a limited size, over HTTP/2 from the first on", async () => {
    const { httpPort } = await startGateway();
    const { status, body } = await overHttp2(httpPort, { "x-large": "x".repeat(17_000) });
    expect(status).toBe(429);
    expect(body).toMatchObject({ code: "resource_exhausted", details: [{ debug: { reason: "HEADERS_TOO_LARGE" } }] });
  });

  test("have headers of a limited size, over HTTP/1.1", async () => {
    const { post } = await startGateway({ MAX_HEADER_LIST_SIZE: "2048" });
    expect((await post({ "x-large": "x".repeat(3000) })).status).toBe(431);
  });

  test("do not follow one another without end over HTTP/1.1", async () => {
    const { server, httpPort } = await startGateway({ MAX_CONCURRENT_STREAMS: "2" });
    const watching = requestOf(WATCH, { "content-type": "application/connect+json" }, "\0\0\0\0\x02{}");
    const socket = await send(httpPort, watching.repeat(2));
    await expect.poll(() => server.openCalls).toBe(2);
    socket.write(watching);
    await once(socket.resume(), "close");
  });

  test("that are answered end soon, or their connection does", async () => {
    const { httpPort } = await startGateway();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const path = "/user.v1.UserService/CreateUsers";
    const socket = await send(httpPort, requestOf(path, { "content-type": "text/plain", "content-length": 9 }));
    expect(String((await once(socket, "data"))[0])).toMatch(/^HTTP\/1.1 415 /);
    vi.advanceTimersByTime(30_000);
    await once(socket, "close");
  });

  const streaming = { "content-type": "application/connect+json", connection: "close" };
  const frames = (...bytes: number[]) => Buffer.from(bytes).toString("latin1");
  const query = (rest: string) =>
    `GET ${GET_USER}?connect=v1&encoding=${rest} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`;
  test.each<[string, string, RegExp]>([
    [
      "an envelope that ends early",
      requestOf("/user.v1.UserService/ListUsers", streaming, frames(0, 0, 0, 0, 9, 123)),
      /incomplete envelope/,
    ],
    [
      "an envelope of 2 GB",
      requestOf("/user.v1.UserService/ListUsers", streaming, frames(0, 127, 0, 0, 0)),
      /resource_exhausted/,
    ],
    [
      "JSON as deep as it can be",
      requestOf(GET_USER, { ...JSON_TYPE, connection: "close" }, `{"id":${"[".repeat(90_000)}${"]".repeat(90_000)}}`),
      /^HTTP\/1.1 400 /,
    ],
    [
      "groups as deep as they can be",
      requestOf(GET_USER, { "content-type": "application/proto", connection: "close" }, "{".repeat(60_000)),
      /maximum recursion depth/,
    ],
    ["GET with bad JSON", query("json&message=%%%"), /^HTTP\/1.1 400 /],
    ["GET with bad base64", query("json&base64=1&message=!!"), /^HTTP\/1.1 [45]00 /],
    ["GET with bad gzip", query("json&base64=1&compression=gzip&message=AAAA"), /^HTTP\/1.1 400 /],
    [
      "two lengths",
      `POST ${GET_USER} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n`,
      /^HTTP\/1.1 400 /,
    ],
    [
      "two hosts",
      requestOf(GET_USER, { host: ["a", "b"], ...JSON_TYPE, connection: "close" }, NOBODY),
      /^HTTP\/1.1 400 /,
    ],
    ["CONNECT", "CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n", /^$/],
    ["OPTIONS *", "OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", /^HTTP\/1.1 404 /],
    ["TLS in plain text", "\x16\x03\x01\0\xc8\x01", /^HTTP\/1.1 400 /],
    ["no frames after the preface", `${PREFACE}${"x".repeat(100)}`, /SETTINGS expected/],
  ])("with %s hurt nobody", async (_, sent, answer) => {
    const { httpPort, post } = await startGateway();
    const socket = await send(httpPort, Buffer.from(sent, "latin1"));
    expect(await text(socket)).toMatch(answer);
    expect((await post()).status).toBe(404);
  });
});

describe("connections", () => {
  test("are counted on both ports together", async () => {
    const { port, httpPort, server } = await startGateway({ MAX_CONNECTIONS: "2" });
    await send(port, "");
    const kept = await send(httpPort, "");
    await expect.poll(() => server.openConnections).toBe(2);
    await once((await send(httpPort, "")).resume(), "close");
    await once((await send(port, "")).resume(), "close");
    kept.destroy();
    await expect.poll(() => server.openConnections).toBe(1);
  });

  test("of HTTP/2 are cut off for floods of frames, as on the other port", async () => {
    const { httpPort, logs } = await startGateway({ MAX_CONTROL_FRAMES: "5" });
    const session = connectHttp2(`http://127.0.0.1:${httpPort}`);
    session.on("error", () => {});
    const closed = new Promise((resolve) => session.once("close", resolve));
    session.request({ ":method": "POST", ":path": GET_USER, ...JSON_TYPE }).on("error", () => {});
    await once(session, "connect");
    for (let count = 0; count < 20 && !session.destroyed; count++) {
      session.ping(() => {});
      await new Promise(setImmediate);
    }
    await closed;
    const [cut] = await logs.waitFor("connections cut off");
    expect(cut).toMatchObject({ counts: { too_many_control_frames: 1 } });
  });

  test("of HTTP/1.1 are closed when nothing moves for too long", async () => {
    const gateway = createGateway({
      services: [UserService],
      connect: () => duplexPair()[0],
      maxStreams: 10,
      maxHeaderListSize: 0,
      maxMessageBytes: () => 1000,
      longestSilenceMs: 20,
      origins: [],
      callerHeader: () => ["x-caller", "somebody"],
      watch() {},
      refusals: { toRequestId: () => "", onRefused() {} },
    });
    const listener = await listen("127.0.0.1", 0, { accept: (socket) => gateway.accept(socket), acceptFailed() {} });
    onTestFinished(() => {
      listener.close();
      gateway.close();
    });
    const socket = await send(listener.port, requestOf(GET_USER, JSON_TYPE, NOBODY));
    await once(socket.resume(), "close");
  });

  test("that have not said what they speak end with the server", async () => {
    const { httpPort, server } = await startGateway();
    await send(httpPort, "");
    await expect.poll(() => server.openConnections).toBe(1);
    await server.stop();
    await expect.poll(() => server.openConnections).toBe(0);
  });
});
