import { once } from "node:events";
import { connect, constants } from "node:http2";
import { connect as connectTcp } from "node:net";
import { text } from "node:stream/consumers";
import { Code, ConnectError, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createWritableIterable as writableIterable } from "@connectrpc/connect/protocol";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { describe, expect, test, vi } from "vitest";
import { BadRequestSchema, ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { WatchEventType } from "../../src/gen/user/v1/watch_pb.ts";
import {
  ADMIN,
  collect,
  newUsers,
  sharedTestServer,
  startTestServer,
  streamOf,
  type TestServer,
  tokenFor,
} from "../support/server.ts";

const PATH = "/user.v1.UserService";

interface Gateway {
  readonly server: TestServer;
  readonly url: string;
}

/** A server with a gateway, and where that is. */
async function startGateway(environment: Record<string, string> = {}): Promise<Gateway> {
  return gatewayOf(await startTestServer({ environment: { HTTP_PORT: "0", ...environment } }));
}

/** One for all tests of a group. */
function sharedGateway(environment: Record<string, string> = {}): () => Gateway {
  const server = sharedTestServer({ environment: { HTTP_PORT: "0", ...environment } });
  return () => gatewayOf(server());
}

function gatewayOf(server: TestServer): Gateway {
  return { server, url: `http://127.0.0.1:${server.server.httpPort}` };
}

const asAdmin: Interceptor = (next) => async (request) => {
  request.header.set("authorization", `Bearer ${await tokenFor(ADMIN)}`);
  return next(request);
};

type Options = { baseUrl: string; interceptors: Interceptor[] };

const TRANSPORTS: [string, (options: Options) => Transport][] = [
  ["Connect over HTTP/1.1", (options) => createConnectTransport({ ...options, httpVersion: "1.1" })],
  ["Connect in JSON", (options) => createConnectTransport({ ...options, httpVersion: "1.1", useBinaryFormat: false })],
  ["Connect with GET", (options) => createConnectTransport({ ...options, httpVersion: "1.1", useHttpGet: true })],
  ["Connect over HTTP/2", (options) => createConnectTransport({ ...options, httpVersion: "2" })],
  ["gRPC-Web over HTTP/1.1", (options) => createGrpcWebTransport({ ...options, httpVersion: "1.1" })],
  ["gRPC-Web over HTTP/2", (options) => createGrpcWebTransport({ ...options, httpVersion: "2" })],
  ["gRPC", createGrpcTransport],
];

describe.each(TRANSPORTS)("%s", (_, transportOf) => {
  const gateway = sharedGateway();

  function start() {
    const { server, url } = gateway();
    const client = createClient(UserService, transportOf({ baseUrl: url, interceptors: [asAdmin] }));
    return { server, client };
  }

  test("carries unary calls, client streams and server streams, with trailers", async () => {
    const { client } = start();
    const { userIds } = await client.createUsers(streamOf(...newUsers(3)));
    expect(await client.getUser({ id: userIds[1] ?? "" })).toMatchObject({ user: { email: "user1@example.com" } });

    let trailer = new Headers();
    const page = client.listUsers(
      { pageSize: 2 },
      {
        onTrailer: (told) => {
          trailer = told;
        },
      },
    );
    expect((await collect(page)).map(({ id }) => id)).toEqual(userIds.slice(0, 2));
    const pageToken = trailer.get("x-next-page-token") ?? "";
    expect((await client.listUsersPage({ pageToken })).users.map(({ id }) => id)).toEqual(userIds.slice(2));
  });

  test("carries errors with their details, and the request id", async () => {
    const { client } = start();
    const error = await client.getUser({ id: "" }, { headers: { "x-request-id": "mine" } }).catch(ConnectError.from);
    if (!(error instanceof ConnectError)) throw new Error("succeeded");
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toBe("invalid request: id must be at least 1 bytes");
    expect(error.findDetails(BadRequestSchema)[0]?.fieldViolations).toMatchObject([{ field: "id" }]);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "INVALID_REQUEST" }]);
    expect(error.metadata.get("x-request-id")).toBe("mine");
  });

  test("carries errors of streams", async () => {
    const { client } = start();
    const listing = collect(client.listUsers({ pageSize: -1 }));
    await expect(listing).rejects.toMatchObject({ code: Code.InvalidArgument });
    const creating = client.createUsers(streamOf(...newUsers(1)), { headers: { "x-expected-count": "2" } });
    await expect(creating).rejects.toMatchObject({ code: Code.DataLoss });
  });

  test("carries deadlines and cancellations", async () => {
    const { server, client } = start();
    const expired = collect(client.watchUsers({}, { timeoutMs: 50 }));
    await expect(expired).rejects.toMatchObject({ code: Code.DeadlineExceeded });

    const leaving = new AbortController();
    for await (const { type } of client.watchUsers({}, leaving)) {
      expect(type).toBe(WatchEventType.HEARTBEAT);
      leaving.abort();
      break;
    }
    // The first may have expired on its way.
    await expect.poll(() => server.logs.calls("WatchUsers").map(({ code }) => code)).toContain("CANCELLED");
  });
});

describe("a stream both ways", () => {
  const gateway = sharedGateway();

  test.each([
    ["Connect", createConnectTransport],
    ["gRPC-Web", createGrpcWebTransport],
    ["gRPC", createGrpcTransport],
  ])("works in %s over HTTP/2", async (_, transportOf) => {
    const { url } = gateway();
    const transport = transportOf({ baseUrl: url, httpVersion: "2", interceptors: [asAdmin] });
    const chat = createClient(UserService, transport).chat(streamOf({ message: "one" }, { message: "two" }));
    expect((await collect(chat)).map(({ message }) => message)).toEqual(["Echo: one", "Echo: two"]);
  });

  test("is refused over HTTP/1.1, and told why", async () => {
    const { url } = gateway();
    const response = await fetch(`${url}${PATH}/Chat`, { method: "POST", body: "{}" });
    expect(response.status).toBe(505);
    expect(await response.json()).toEqual({
      code: "unimplemented",
      message: "Chat streams both ways, which takes HTTP/2",
    });
  });
});

describe("plain HTTP", () => {
  const gateway = sharedGateway();
  const open = sharedGateway({ AUTH: "none" });
  const json = { "content-type": "application/json" };

  test("answers in JSON, details included, to nobody's cache", async () => {
    const { url } = open();
    const response = await fetch(`${url}${PATH}/GetUser`, { method: "POST", headers: json, body: '{"id":"nobody"}' });
    expect(response.status).toBe(404);
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await response.json()).toMatchObject({
      code: "not_found",
      message: "no such user",
      details: [
        { type: "google.rpc.ErrorInfo", debug: { reason: "USER_NOT_FOUND" } },
        { type: "google.rpc.ResourceInfo", debug: { resourceName: "nobody" } },
      ],
    });
  });

  test("reads with GET what has no side effects, and nothing else", async () => {
    const { url } = open();
    const get = (method: string) => fetch(`${url}${PATH}/${method}?connect=v1&encoding=json&message=%7B%7D`);
    expect(await (await get("ListUsersPage")).json()).toEqual({});
    expect((await get("DeleteUser")).status).toBe(405);
  });

  test("asks for a token as the gRPC port does", async () => {
    const { url } = gateway();
    const response = await fetch(`${url}${PATH}/GetUser`, { method: "POST", headers: json, body: '{"id":"nobody"}' });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ code: "unauthenticated" });
  });

  test("serves health", async () => {
    const { url } = gateway();
    const response = await fetch(`${url}/grpc.health.v1.Health/Check`, { method: "POST", headers: json, body: "{}" });
    expect(await response.json()).toEqual({ status: "SERVING" });
  });

  test.each([
    ["an unknown method", 404, "/user.v1.UserService/Nothing"],
    ["another path", 404, "/"],
    ["a path that is no URL", 404, "//"],
  ])("answers %s with %i", async (_, status, path) => {
    const { url } = gateway();
    const response = await fetch(`${url}${path}`, { method: "POST", headers: json, body: "{}" });
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({ code: "unimplemented", message: "there is no such method" });
  });

  test("answers a message that is too large with 429", async () => {
    const { url } = open();
    const body = JSON.stringify({ id: "x".repeat(5_000_000) });
    const response = await fetch(`${url}${PATH}/GetUser`, { method: "POST", headers: json, body });
    expect(response.status).toBe(429);
    expect(await response.json()).toMatchObject({ code: "resource_exhausted" });
  });

  test.each([
    ["names no host", "POST /user.v1.UserService/GetUser HTTP/1.0\r\n"],
    ["names no possible host", "POST /user.v1.UserService/GetUser HTTP/1.1\r\nhost: a b\r\n"],
  ])("survives a request that %s", async (_, head) => {
    const { server } = gateway();
    const socket = connectTcp(server.server.httpPort ?? 0, "127.0.0.1");
    socket.end(`${head}content-type: application/json\r\ncontent-length: 2\r\n\r\n{}`);
    expect(await text(socket)).toMatch(/^HTTP\/1.1 400 .*"the request cannot be read"/s);
  });

  test("survives connections that break off", async () => {
    const { server, url } = gateway();
    const socket = connectTcp(server.server.httpPort ?? 0, "127.0.0.1");
    await once(socket, "connect");
    socket.resetAndDestroy();
    expect((await fetch(url)).status).toBe(404);
  });
});

describe("pages of other origins", () => {
  const ORIGIN = "https://app.example.com";
  const preflight = (url: string, origin: string) =>
    fetch(`${url}${PATH}/GetUser`, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization" },
    });

  test("may call if they are configured", async () => {
    const { url } = await startGateway({ CORS_ORIGINS: `https://other.example.com, ${ORIGIN}` });
    const { status, headers } = await preflight(url, ORIGIN);
    expect(status).toBe(204);
    expect(headers.get("access-control-allow-origin")).toBe(ORIGIN);
    expect(headers.get("access-control-allow-headers")).toContain("authorization");
    expect(headers.get("vary")).toBe("origin");
    const answer = await fetch(`${url}${PATH}/GetUser`, { method: "POST", headers: { origin: ORIGIN } });
    expect(answer.headers.get("access-control-allow-origin")).toBe(ORIGIN);
    expect(answer.headers.get("access-control-expose-headers")).toContain("x-next-page-token");
  });

  test.each([{}, { CORS_ORIGINS: "https://other.example.com" }])("may not otherwise: %j", async (environment) => {
    const { url } = await startGateway(environment);
    const { headers } = await preflight(url, ORIGIN);
    expect(headers.get("access-control-allow-origin")).toBeNull();
  });

  test("all may call with *", async () => {
    const { url } = await startGateway({ CORS_ORIGINS: "*" });
    expect((await preflight(url, ORIGIN)).headers.get("access-control-allow-origin")).toBe("*");
  });
});

describe("a stop", () => {
  test("ends live streams with UNAVAILABLE, and lets other calls finish", async () => {
    const { server, url } = await startGateway();
    const overHttp1 = createConnectTransport({ baseUrl: url, httpVersion: "1.1", interceptors: [asAdmin] });
    const overHttp2 = createConnectTransport({ baseUrl: url, httpVersion: "2", interceptors: [asAdmin] });
    const watching = createClient(UserService, overHttp1).watchUsers({ snapshot: true })[Symbol.asyncIterator]();
    await watching.next();
    const chat = writableIterable<{ message: string }>();
    const answers = createClient(UserService, overHttp2).chat(chat)[Symbol.asyncIterator]();
    await chat.write({ message: "before" });
    expect((await answers.next()).value).toMatchObject({ message: "Echo: before" });

    const stopping = server.server.stop();
    await expect(watching.next()).rejects.toMatchObject({ code: Code.Unavailable });
    await expect(answers.next()).rejects.toMatchObject({ code: Code.Unavailable });
    await stopping;
    await expect(fetch(url)).rejects.toThrow("fetch failed");
  });

  test("closes connections of HTTP/2 when nothing is open on them, and cuts none", async () => {
    const { server, url } = await startGateway({ AUTH: "none" });
    const session = connect(url);
    const told: number[] = [];
    session.on("goaway", (code: number) => told.push(code));
    const request = session.request({
      ":method": "POST",
      ":path": `${PATH}/ListUsersPage`,
      "content-type": "application/json",
    });
    request.end("{}");
    expect(JSON.parse(await text(request))).toEqual({});
    await Promise.all([server.server.stop(), once(session, "close")]);
    // First to go, and then that nothing follows: who is cut hears only the one.
    expect(told.length).toBeGreaterThan(1);
    expect(new Set(told)).toEqual(new Set([constants.NGHTTP2_NO_ERROR]));
  });

  test("lets calls finish", async () => {
    const { server, url } = await startGateway();
    const transport = createConnectTransport({ baseUrl: url, httpVersion: "2", interceptors: [asAdmin] });
    const users = writableIterable<{ email: string; name: string }>();
    const creating = createClient(UserService, transport).createUsers(users);
    const [first, second] = newUsers(2);
    await users.write(first ?? raise());
    await vi.waitUntil(() => server.server.openCalls === 1);

    const stopping = server.server.stop();
    await users.write(second ?? raise());
    users.close();
    expect((await creating).createdCount).toBe(2);
    await stopping;
  });
});

function raise(): never {
  throw new Error("there is none");
}
