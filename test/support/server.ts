import { type Client, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { status } from "@grpc/grpc-js";
import pino from "pino";
import { afterAll, beforeAll, expect, onTestFinished, vi } from "vitest";
import type { Application, ServedService } from "../../src/application.ts";
import { type Config, parseConfig } from "../../src/config.ts";
import type { Principal } from "../../src/domain/principal.ts";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "../../src/gen/health/v1/health_pb.ts";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { signToken } from "../../src/interceptors/token.ts";
import { Readiness } from "../../src/readiness.ts";
import { type RunningServer, startServer } from "../../src/server.ts";
import { LogLines } from "./log-lines.ts";

/** The key of the tests' tokens. */
export const JWT_SECRET = "a secret that only the tests know!";

export const ADMIN: Principal = { id: "root", role: "admin" };

/** A server as a test sees it. */
export interface TestServer {
  readonly port: number;
  /** `host:port`, as grpc-js clients take it. */
  readonly address: string;
  readonly config: Config;
  readonly server: RunningServer;
  readonly logs: LogLines;
}

export interface TestServerOptions {
  /** Environment variables over those of the tests. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly services?: readonly ServedService[];
  /** Milliseconds between two looks at the files of TLS. */
  readonly tlsLookMs?: number;
}

/** Starts a real server on a free port. It is stopped after the test, which fails if a call is still open then. */
export async function startTestServer(options?: TestServerOptions): Promise<TestServer> {
  const server = await openTestServer(options);
  onTestFinished(() => closeTestServer(server));
  return server;
}

/** Starts a server as startTestServer does, and waits until calls are served, as they are once the database is found. */
export async function servingTestServer(options?: TestServerOptions): Promise<TestServer> {
  return untilServing(await startTestServer(options));
}

/** A server for all tests of a group, for which it is started and stopped. To be called where tests are collected. */
export function sharedTestServer(options?: TestServerOptions): () => TestServer {
  let server: TestServer | undefined;
  beforeAll(async () => {
    server = await openTestServer(options);
  });
  afterAll(() => server && closeTestServer(server));
  return () => server ?? expect.fail("the server is there while tests run");
}

/** Starts a server as startTestServer does, which the caller closes. */
export async function openTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const { environment = {}, services, tlsLookMs } = options;
  const given = testConfig(environment);
  const tls = given.tls && tlsLookMs !== undefined ? { ...given.tls, lookMs: tlsLookMs } : given.tls;
  const config = { ...given, tls };
  const logs = new LogLines();
  const logger = pino({ base: null, formatters: { level: (level) => ({ level }) } }, logs);
  const server = await startServer(config, logger, services && applicationOf(services));
  return { port: server.port, address: `127.0.0.1:${server.port}`, config, server, logs };
}

/** Waits until a server has no call open. Fails if that takes longer than five seconds. */
export async function callsEnded({ server }: TestServer): Promise<void> {
  await vi.waitUntil(() => server.openCalls === 0, { timeout: 5000, interval: 2 });
}

/** Stops a server, and fails if a call is still open then. */
export async function closeTestServer({ server }: TestServer): Promise<void> {
  await server.stop();
  expect(server.openCalls, "calls left open").toBe(0);
}

/** Returns the server once calls are served. */
export async function untilServing(server: TestServer): Promise<TestServer> {
  const watching = new AbortController();
  for await (const { status: health } of createClient(Health, transportTo(server, null)).watch({}, watching)) {
    if (health !== ServingStatus.SERVING) continue;
    watching.abort();
    return server;
  }
  throw new Error("the server has stopped before it served");
}

/** An application of services that need nothing. */
export function applicationOf(services: readonly ServedService[]): Application {
  return {
    services,
    isSuspended: () => false,
    watchSuspension: () => () => {},
    readiness: new Readiness(true),
    close: async () => {},
  };
}

export function testConfig(environment: Readonly<Record<string, string>> = {}): Config {
  const defaults = { HOST: "127.0.0.1", PORT: "0", HTTP_PORT: "none", JWT_SECRET, SHUTDOWN_TIMEOUT: "5s" };
  return parseConfig({ ...defaults, ...environment }, []);
}

/** Tokens that have been signed: most calls are those of few callers. */
const signed = new Map<string, { readonly token: Promise<string>; readonly at: number }>();
const TOKEN_SECONDS = 600;

/** A token of the tests' key, which is good for some minutes at least. */
export function tokenFor(principal: Principal, options: { issuer?: string; audience?: string } = {}): Promise<string> {
  const key = JSON.stringify([principal, options]);
  const now = Date.now();
  const known = signed.get(key);
  // Some tests set the clock, back as well.
  if (known !== undefined && Math.abs(now - known.at) < (TOKEN_SECONDS * 1000) / 2) return known.token;
  const token = signToken({ secret: Buffer.from(JWT_SECRET), ...options }, principal, TOKEN_SECONDS);
  signed.set(key, { token, at: now });
  return token;
}

/** A transport of connect-node, whose calls carry a token of `principal`, or none for null. */
export function transportTo({ port }: TestServer, principal: Principal | null = ADMIN): Transport {
  const authorize: Interceptor = (next) => async (request) => {
    if (principal !== null) request.header.set("authorization", `Bearer ${await tokenFor(principal)}`);
    return next(request);
  };
  return createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}`, interceptors: [authorize] });
}

/** A client of the user service; see transportTo. */
export function userClient(server: TestServer, principal: Principal | null = ADMIN): Client<typeof UserService> {
  return createClient(UserService, transportTo(server, principal));
}

/** The name of a status code, as the logs write it. */
export function codeName(code: number): string | undefined {
  return status[code];
}

/** Yields the items, and then ends: a request stream. */
export async function* streamOf<T>(...items: T[]): AsyncGenerator<T> {
  yield* items;
}

/** All that a stream yields. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  return Array.fromAsync(items);
}

/** `count` users to create, none like another. */
export function newUsers(count: number, prefix = "user"): { email: string; name: string }[] {
  return Array.from({ length: count }, (_, index) => ({
    email: `${prefix}${index}@example.com`,
    name: `${prefix} number ${index}`,
  }));
}
