import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import type { DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type ServerInterceptor } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { type Application, userApplication } from "./application.ts";
import { type Config, type TokenConfig, toAddress } from "./config.ts";
import { pathOf } from "./contract/path.ts";
import { type CallPolicy, readPolicies } from "./contract/policy.ts";
import type { Principal } from "./domain/principal.ts";
import { createGateway } from "./gateway/gateway.ts";
import { file_google_rpc_error_details } from "./gen/google/rpc/error_details_pb.ts";
import { ServerReflection } from "./gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "./gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { Health } from "./gen/health/v1/health_pb.ts";
import { Access } from "./gen/policy/v1/policy_pb.ts";
import { CollaborativeEditResponseSchema } from "./gen/user/v1/collaborative_edit_pb.ts";
import { UserSchema } from "./gen/user/v1/user_pb.ts";
import { ChatMessageSchema } from "./gen/user/v1/user_service_pb.ts";
import { WatchUsersResponseSchema } from "./gen/user/v1/watch_pb.ts";
import { stopGracefully } from "./grpc/graceful-stop.ts";
import { serveHealth } from "./grpc/health.ts";
import { CallerAddresses, connectInProcess } from "./grpc/in-process.ts";
import { LiveStreams } from "./grpc/live-streams.ts";
import { type MountOptions, mount } from "./grpc/mount.ts";
import { createReflection } from "./grpc/reflection.ts";
import { type Authenticate, authorizationOf, createAuth, exceptSuspended } from "./interceptors/auth.ts";
import { createCallLog } from "./interceptors/call-log.ts";
import { completeStream } from "./interceptors/complete-stream.ts";
import { createDeadline } from "./interceptors/deadline.ts";
import { createObserve } from "./interceptors/observe.ts";
import { OpenCalls } from "./interceptors/open-calls.ts";
import type { Interceptor } from "./interceptors/pass-through.ts";
import { TokenVerifier } from "./interceptors/token.ts";
import { createValidation } from "./interceptors/validation.ts";
import { createWriteWindow } from "./interceptors/write-window.ts";

/** Messages that are sent many times: encoded once. */
const STORED_TYPES: ReadonlySet<DescMessage> = new Set([
  UserSchema,
  WatchUsersResponseSchema,
  ChatMessageSchema,
  CollaborativeEditResponseSchema,
]);

/** Calls that one connection may have open at a time; grpc-js allows any number unless told. */
const MAX_CONCURRENT_STREAMS = 1000;

/** The size of the largest message, in bytes, as grpc-js has it by default. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** The server cannot listen where it is told to. */
export class ListenError extends Error {
  override readonly name = "ListenError";

  constructor(address: string, cause: Error) {
    // grpc-js wraps the reason of the operating system in words about its own lists.
    const [, reason = cause.message] = /\[(.*)\]$/.exec(cause.message) ?? [];
    super(`cannot listen on ${address}: ${reason}`, { cause });
  }
}

/** A server that accepts calls. */
export interface RunningServer {
  /** The port it listens on. */
  readonly port: number;
  /** The port of the gateway; undefined if there is none. */
  readonly httpPort: number | undefined;
  /** How many calls are open. */
  readonly openCalls: number;
  /** Stops gracefully: see stopGracefully. A second call waits for the same stop. */
  stop(): Promise<void>;
}

/**
 * Starts a server of an application's services, with health and reflection beside them.
 *
 * The server takes the application over, and closes it when it stops, or if it cannot listen.
 *
 * @throws Error if a method states no policy, or if the server cannot listen.
 */
export async function startServer(
  config: Config,
  logger: Logger,
  application: Application = userApplication(config, logger),
): Promise<RunningServer> {
  const { services, readiness } = application;
  const descriptors = services.map(({ service }) => service);
  const policies = policyTable(readPolicies(descriptors));
  const { tokens } = config;
  const authenticate =
    tokens === undefined
      ? () => EVERYBODY
      : exceptSuspended(tokenAuthentication(tokens), (userId) => application.isSuspended(userId));
  const openCalls = new OpenCalls();
  const live = new LiveStreams();
  const callers = new CallerAddresses();
  const server = new Server({
    interceptors: interceptorsOf(authenticate, logger, descriptors, policies, openCalls) as ServerInterceptor[],
    "grpc.max_concurrent_streams": MAX_CONCURRENT_STREAMS,
    "grpc.enable_channelz": 0,
  });

  const options: MountOptions = {
    storedTypes: STORED_TYPES,
    isLive: (method) => isLive(policies(pathOf(method))),
    live,
  };
  const everything = [...descriptors, Health, ServerReflection, ServerReflectionAlpha];
  const reflection = createReflection(everything, [file_google_rpc_error_details]);
  for (const each of services) each.mountOn(server, options);
  mount(server, ServerReflection, reflection, options);
  mount(server, ServerReflectionAlpha, reflection, options);
  const health = serveHealth(
    server,
    descriptors.map(({ typeName }) => typeName),
    live,
  );

  const gateway =
    config.gateway &&
    createGateway({
      services: everything,
      connect: connectInProcess(server),
      maxStreams: MAX_CONCURRENT_STREAMS,
      maxMessageBytes: MAX_MESSAGE_BYTES,
      origins: config.gateway.origins,
      callerHeader: (address) => callers.headerFor(address),
    });
  const port = await listen(server, config).catch(async (error: unknown) => {
    await application.close();
    throw error;
  });
  const http = createServer((socket) => gateway?.accept(socket));
  if (config.gateway) await once(http.listen(config.gateway.port, config.host), "listening");
  readiness.follow((ready) => health.set(ready ? "SERVING" : "NOT_SERVING"));
  let stopping: Promise<void> | undefined;
  return {
    port,
    httpPort: config.gateway && (http.address() as AddressInfo).port,
    get openCalls() {
      return openCalls.size;
    },
    stop() {
      stopping ??= stop();
      return stopping;
    },
  };

  async function stop(): Promise<void> {
    // From now on it is not for the application to say that calls are served.
    readiness.follow(() => {});
    const times = { delayMs: config.shutdownDelayMs, timeoutMs: config.shutdownTimeoutMs };
    http.close();
    await stopGracefully({ server, gateway, health, live, calls: openCalls }, times);
    await application.close();
  }
}

/** The interceptors, from the wire inward. Each stands where it does for the reason beside it. */
function interceptorsOf(
  authenticate: Authenticate,
  logger: Logger,
  services: readonly DescService[],
  policyOf: (path: string) => CallPolicy,
  openCalls: OpenCalls,
): Interceptor[] {
  const methods = services.flatMap((service) => service.methods);
  return [
    // Outermost: whatever refuses a call further in, the call is seen, logged and counted, and a stop can end it.
    createObserve(openCalls, [createCallLog(logger)]),
    // Before auth, which may wait for a key: waiting counts.
    createDeadline(policyOf),
    // Before anything looks at a message of somebody unknown.
    createAuth(authenticate, policyOf),
    // Handlers see valid messages only.
    createValidation(new Map(methods.map((method) => [pathOf(method), method]))),
    // Inside validation, so that it counts the messages that the handler gets.
    completeStream,
    // Innermost: the handler writes ahead of everything.
    createWriteWindow((path) => isLive(policyOf(path))),
  ];
}

/** Whether the streams of a method live until someone ends them. */
function isLive({ longestDeadlineMs }: CallPolicy): boolean {
  return longestDeadlineMs === Number.POSITIVE_INFINITY;
}

/** Who everybody is if authentication is off. */
const EVERYBODY: Principal = { id: "anonymous", role: "admin" };

function tokenAuthentication(tokens: TokenConfig): Authenticate {
  const verifier = new TokenVerifier(tokens);
  return (metadata) => {
    const authorization = authorizationOf(metadata);
    return verifier.remembered(authorization) ?? verifier.verify(authorization);
  };
}

/** What methods without a policy get, should one ever be served: nobody is let in. */
const CLOSED: CallPolicy = { access: Access.UNSPECIFIED, defaultDeadlineMs: 1000, longestDeadlineMs: 1000 };

const ANSWERING: CallPolicy = { access: Access.PUBLIC, defaultDeadlineMs: 5000, longestDeadlineMs: 60_000 };
const LIVING: CallPolicy = {
  ...ANSWERING,
  defaultDeadlineMs: Number.POSITIVE_INFINITY,
  longestDeadlineMs: Number.POSITIVE_INFINITY,
};

/** The policies of services whose contract is not ours and states none. */
const FOREIGN_POLICIES: ReadonlyMap<DescMethod, CallPolicy> = new Map<DescMethod, CallPolicy>([
  [Health.method.check, ANSWERING],
  [Health.method.list, ANSWERING],
  [Health.method.watch, LIVING],
  [ServerReflection.method.serverReflectionInfo, LIVING],
  [ServerReflectionAlpha.method.serverReflectionInfo, LIVING],
]);

function policyTable(own: ReadonlyMap<DescMethod, CallPolicy>): (path: string) => CallPolicy {
  const table = new Map([...own, ...FOREIGN_POLICIES].map(([method, policy]) => [pathOf(method), policy]));
  return (path) => table.get(path) ?? CLOSED;
}

function listen(server: Server, config: Config): Promise<number> {
  const address = toAddress(config);
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(new ListenError(address, error));
    });
  });
}
