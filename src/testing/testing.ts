import { randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import pino from "pino";
import { signingOptions } from "../authentication-config.ts";
import { userServiceDefinition } from "../client/grpc-js.ts";
import { parseConfig } from "../config.ts";
import type { Principal } from "../domain/principal.ts";
import { signToken } from "../interceptors/token.ts";
import { startServer } from "../server.ts";
import { FakeService, type Script } from "./fake-service.ts";

// What scripts are made of belongs to this entry of the package, too.
export { failing, type ScriptedFailure, unavailable } from "./fake-errors.ts";
export type { Behaviour, FakeCall, Script } from "./fake-service.ts";

/** A server in this process, for the tests of those who call it. */
export interface TestServer extends AsyncDisposable {
  /** `host:port`, as clients take it. */
  readonly address: string;
  readonly port: number;
  /** Makes a token of somebody, valid for ten minutes; of an admin unless told. */
  token(principal?: Principal): Promise<string>;
  /** Stops it; the real service as a replica stops, which lets open calls finish. */
  stop(): Promise<void>;
}

/** A server whose methods do what a test says. It takes every token. */
export interface FakeServer extends TestServer {
  /** The calls that have come, in their order. */
  readonly calls: FakeService["calls"];
  /** Replaces what some methods do, from their next call on. */
  script(script: Script): void;
}

/** How a server for tests is started. */
export interface TestServerOptions {
  /** The port to listen on; a free one by default. */
  readonly port?: number;
  /** Settings of the service over those for tests, as environment variables. */
  readonly environment?: Readonly<Record<string, string>>;
}

const ADMIN: Principal = { id: "admin", role: "admin" };
const TOKEN_SECONDS = 600;

/** What tests want: nothing is kept, nothing is logged, and nobody waits at the end. */
const SETTINGS = { HOST: "127.0.0.1", HTTP_PORT: "none", LOG_LEVEL: "silent", SHUTDOWN_TIMEOUT: "1s" };

/**
 * Starts the real service in this process, with its users in memory: `await using server = await startTestServer()`,
 * and then `createUserClient(server.address, { token: await server.token() })`.
 */
export async function startTestServer({ port = 0, environment = {} }: TestServerOptions = {}): Promise<TestServer> {
  const secret = randomBytes(32).toString("hex");
  const config = parseConfig({ ...SETTINGS, PORT: String(port), JWT_SECRET: secret, ...environment }, []);
  const logger = pino({ level: "silent" });
  const server = await startServer(config, logger);
  const signing = (config.authentication?.tokens && signingOptions(config.authentication.tokens)) ?? {
    secret: Buffer.from(secret),
  };
  const stop = () => server.stop();
  return {
    address: `127.0.0.1:${server.port}`,
    port: server.port,
    token: (principal = ADMIN) => signToken(signing, principal, TOKEN_SECONDS),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/**
 * Starts a server that looks like the service to its callers, and whose methods do what a test says; those without a
 * script fail with UNIMPLEMENTED. `failing` and `unavailable` make the errors; see Script for what else methods can be
 * told to do.
 */
export async function createFake(
  script: Script = {},
  { port = 0 }: Pick<TestServerOptions, "port"> = {},
): Promise<FakeServer> {
  const fake = new FakeService(script);
  const server = new Server({ "grpc.enable_channelz": 0 });
  server.addService({ ...userServiceDefinition }, fake.handlers);
  const bound = await promisify(server.bindAsync.bind(server))(`127.0.0.1:${port}`, ServerCredentials.createInsecure());
  // Calls that are open are nobody's loss.
  const stop = async () => server.forceShutdown();
  return {
    address: `127.0.0.1:${bound}`,
    port: bound,
    token: async () => "a token",
    stop,
    calls: fake.calls,
    script: (changes) => fake.script(changes),
    [Symbol.asyncDispose]: stop,
  };
}
