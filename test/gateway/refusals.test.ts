import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { expect, test } from "vitest";
import { startTestServer } from "../support/server.ts";

const PATH = "/user.v1.UserService";
const JSON_TYPE = { "content-type": "application/json" };

async function startGateway(environment: Record<string, string> = {}) {
  const started = await startTestServer({ environment: { HTTP_PORT: "0", AUTH: "none", ...environment } });
  return { ...started, url: `http://127.0.0.1:${started.server.httpPort}` };
}

const PREFLIGHT = { origin: "https://a.example.com", "access-control-request-method": "POST" };

test.each<[string, string, string | undefined, string, RequestInit]>([
  ["a path that is no method", "/secret@example.com", undefined, "UNIMPLEMENTED", { method: "POST" }],
  ["a stream both ways over HTTP/1.1", `${PATH}/Chat`, "Chat", "UNIMPLEMENTED", { method: "POST" }],
  ["another content type", `${PATH}/GetUser`, "GetUser", "UNIMPLEMENTED", { method: "POST", body: "secret" }],
  ["another HTTP method", `${PATH}/DeleteUser?secret=1`, "DeleteUser", "UNIMPLEMENTED", { method: "GET" }],
  [
    "bad JSON",
    `${PATH}/GetUser`,
    "GetUser",
    "INVALID_ARGUMENT",
    { method: "POST", headers: JSON_TYPE, body: "{secret" },
  ],
  ["bad base64", `${PATH}/GetUser?encoding=json&base64=1&message=secret!`, "GetUser", "INVALID_ARGUMENT", {}],
  [
    "a message that is too large",
    `${PATH}/GetUser`,
    "GetUser",
    "RESOURCE_EXHAUSTED",
    { method: "POST", headers: JSON_TYPE, body: JSON.stringify({ id: "x".repeat(200_000) }) },
  ],
  [
    "a bad message of a stream",
    `${PATH}/ListUsers`,
    "ListUsers",
    "INVALID_ARGUMENT",
    { method: "POST", headers: { "content-type": "application/connect+json" }, body: "\0\0\0\0\x07{secret" },
  ],
  [
    "a bad message in gRPC-Web",
    `${PATH}/GetUser`,
    "GetUser",
    "INTERNAL",
    { method: "POST", headers: { "content-type": "application/grpc-web" }, body: "\0\0\0\0\x01\x0f" },
  ],
  [
    "a compression that there is not",
    `${PATH}/GetUser`,
    "GetUser",
    "UNIMPLEMENTED",
    { method: "POST", headers: { ...JSON_TYPE, "content-encoding": "secret" }, body: "{}" },
  ],
  [
    "no time",
    `${PATH}/GetUser`,
    "GetUser",
    "DEADLINE_EXCEEDED",
    { method: "POST", headers: { ...JSON_TYPE, "connect-timeout-ms": "0" }, body: "{}" },
  ],
  [
    "a page that may not call",
    `${PATH}/GetUser`,
    "GetUser",
    "PERMISSION_DENIED",
    { method: "OPTIONS", headers: PREFLIGHT },
  ],
])("a request with %s is logged once", async (_, path, method, code, init) => {
  const { url, logs } = await startGateway();
  const headers = { ...init.headers, "x-request-id": "mine" };
  const response = await fetch(url + path, { ...init, headers });
  await response.text();
  expect(response.headers.get("x-request-id")).toBe("mine");

  const [line] = await logs.waitFor("request refused");
  const { time: _time, duration_ms: duration, ...told } = line as unknown as Record<string, unknown>;
  const known = method === undefined ? {} : { method: `user.v1.UserService/${method}` };
  expect(told).toEqual({ level: "info", ...known, code, request_id: "mine", msg: "request refused" });
  expect(duration).toBeGreaterThan(0);
  expect(logs.texts).toHaveLength(1);
  expect(logs.texts[0]).not.toContain("secret");
});

test("a request that its client breaks off before it is read is logged as CANCELLED", async () => {
  const { server, logs } = await startGateway();
  const socket = connectTcp(server.httpPort ?? 0, "127.0.0.1");
  await once(socket, "connect");
  const head = `POST ${PATH}/GetUser HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{`;
  await new Promise((written) => socket.write(head, written));
  await expect.poll(() => server.openConnections).toBe(1);
  socket.destroy();
  expect(await logs.waitFor("request refused")).toMatchObject([{ method: /GetUser/, code: "CANCELLED" }]);
});

test("a refusal has an id of the server's own where the client's is none", async () => {
  const { url, logs } = await startGateway();
  const response = await fetch(url, { headers: { "x-request-id": "x".repeat(200) } });
  const [line] = await logs.waitFor("request refused");
  expect(line?.request_id).toMatch(/^[0-9a-f]{12}-\d+$/);
  expect(response.headers.get("x-request-id")).toBe(line?.request_id);
});

test("a refusal names the trace that it is a part of", async () => {
  const { url, logs } = await startGateway();
  const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  await fetch(url, { headers: { traceparent: `00-${trace}-00f067aa0ba902b7-01` } });
  expect((await logs.waitFor("request refused"))[0]?.trace_id).toBe(trace);
});

test("calls are logged as calls, and what a page asks beforehand is not", async () => {
  const { url, logs } = await startGateway({ CORS_ORIGINS: "*" });
  await fetch(`${url}${PATH}/GetUser`, { method: "OPTIONS", headers: PREFLIGHT });
  const answer = await fetch(`${url}${PATH}/GetUser`, { method: "POST", headers: JSON_TYPE, body: '{"id":"nobody"}' });
  expect(answer.status).toBe(404);
  await logs.waitForCalls(1, "GetUser");
  await fetch(url);
  await logs.waitFor("request refused");
  expect(logs.lines.map(({ msg, code }) => [msg, code])).toEqual([
    ["call ended", "NOT_FOUND"],
    ["request refused", "UNIMPLEMENTED"],
  ]);
});
