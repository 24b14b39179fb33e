import type { DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type ServerInterceptor } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { type Application, userApplication } from "./application.ts";
import { createAuthentication } from "./authentication.ts";
import type { Config } from "./config.ts";
import { pathOf } from "./contract/path.ts";
import { type CallPolicy, DEFAULT_MAX_REQUEST_BYTES, readPolicies } from "./contract/policy.ts";
import { file_google_rpc_error_details } from "./gen/google/rpc/error_details_pb.ts";
import { ServerReflection } from "./gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "./gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { Health } from "./gen/health/v1/health_pb.ts";
import { Access } from "./gen/policy/v1/policy_pb.ts";
import { CollaborativeEditResponseSchema } from "./gen/user/v1/collaborative_edit_pb.ts";
import { UserSchema } from "./gen/user/v1/user_pb.ts";
import { ChatMessageSchema } from "./gen/user/v1/user_service_pb.ts";
import { WatchUsersResponseSchema } from "./gen/user/v1/watch_pb.ts";
import { ConnectionGuard } from "./grpc/connection-guard.ts";
import { stopGracefully } from "./grpc/graceful-stop.ts";
import { serveHealth } from "./grpc/health.ts";
import { listen } from "./grpc/listener.ts";
import { LiveStreams } from "./grpc/live-streams.ts";
import { type MountOptions, mount } from "./grpc/mount.ts";
import { createReflection } from "./grpc/reflection.ts";
import { joinRepeatedAuthorization } from "./grpc/repeated-authorization.ts";
import { correctTimeouts } from "./grpc/timeout-header.ts";
import { serveTls } from "./grpc/tls.ts";
import { createAdmission } from "./interceptors/admission.ts";
import { createAuth } from "./interceptors/auth.ts";
import { createCallLog } from "./interceptors/call-log.ts";
import { completeStream } from "./interceptors/complete-stream.ts";
import { createDeadline } from "./interceptors/deadline.ts";
import { createDecompression } from "./interceptors/decompression.ts";
import { createObserve } from "./interceptors/observe.ts";
import { OpenCalls } from "./interceptors/open-calls.ts";
import type { Interceptor } from "./interceptors/pass-through.ts";
import { createAddressLimit } from "./interceptors/rate-limits.ts";
import { createValidation } from "./interceptors/validation.ts";
import { createWriteWindow } from "./interceptors/write-window.ts";

const REFLECTION: readonly DescService[] = [ServerReflection, ServerReflectionAlpha];

/** Messages that are sent many times: encoded once. */
const STORED_TYPES: ReadonlySet<DescMessage> = new Set([
  UserSchema,
  WatchUsersResponseSchema,
  ChatMessageSchema,
  CollaborativeEditResponseSchema,
]);

/**
 * A replica is called as soon as it listens, also by clients that ask no health service; so it first waits so long for what it needs.
 * Without that it listens as well, and says that it cannot serve.
 */
const START_GRACE_MS = 500;

/** A server that accepts calls. */
export interface RunningServer {
  /** The port it listens on. */
  readonly port: number;
  /** How many calls are open. */
  readonly openCalls: number;
  /** How many connections are open. */
  readonly openConnections: number;
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
  const table = policyTable(readPolicies(descriptors));
  const policies = (path: string): CallPolicy => table.get(path) ?? CLOSED;
  const { authentication } = config;
  const auth = createAuth(
    createAuthentication(config, application, logger),
    policies,
    authentication && ((userId, onSuspended) => application.watchSuspension(userId, onSuspended)),
  );
  joinRepeatedAuthorization();
  correctTimeouts();
  const openCalls = new OpenCalls();
  const { connections } = config;
  const live = new LiveStreams(connections.maxAgeMs);
  const server = new Server({
    interceptors: interceptorsOf(
      config,
      auth,
      logger,
      [...descriptors, ...REFLECTION],
      policies,
      openCalls,
    ) as ServerInterceptor[],
    "grpc.max_concurrent_streams": connections.maxConcurrentStreams,
    "grpc.max_receive_message_length": Math.max(...[...table.values()].map(({ maxRequestBytes }) => maxRequestBytes)),
    "grpc.enable_channelz": 0,
  });

  const options: MountOptions = {
    storedTypes: STORED_TYPES,
    isLive: (method) => isLive(policies(pathOf(method))),
    maxRequestBytes: (method) => policies(pathOf(method)).maxRequestBytes,
    live,
  };
  const everything = [...descriptors, Health, ...REFLECTION];
  const reflection = createReflection(everything, [file_google_rpc_error_details]);
  for (const each of services) each.mountOn(server, options);
  mount(server, ServerReflection, reflection, options);
  mount(server, ServerReflectionAlpha, reflection, options);
  const health = serveHealth(
    server,
    descriptors.map(({ typeName }) => typeName),
    live,
  );

  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const tls = config.tls && serveTls(config.tls, (socket) => injector.injectConnection(socket), logger);
  const guard = new ConnectionGuard(connections, {
    longestCallMs: longestOf(everything.flatMap(({ methods }) => methods).map((method) => policies(pathOf(method)))),
    report: (counts) => logger.warn({ counts }, "connections cut off"),
  });
  await readiness.within(START_GRACE_MS);
  const listener = await listen(config.host, config.port, {
    accept(socket) {
      if (!guard.admit(socket)) return;
      if (tls === undefined) injector.injectConnection(socket);
      else tls.accept(socket);
    },
    acceptFailed: () => guard.acceptFailed(),
  }).catch(async (error: unknown) => {
    tls?.close();
    guard.close();
    await application.close();
    throw error;
  });
  readiness.follow((ready) => health.set(ready ? "SERVING" : "NOT_SERVING"));
  let stopping: Promise<void> | undefined;
  return {
    port: listener.port,
    get openCalls() {
      return openCalls.size;
    },
    get openConnections() {
      return guard.size;
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
    const entrance = {
      close() {
        listener.close();
        tls?.close();
      },
    };
    await stopGracefully({ listener: entrance, server, connections: guard, health, live, calls: openCalls }, times);
    guard.close();
    await guard.gone();
    await application.close();
  }
}

/** The interceptors, from the wire inward. Each stands where it does for the reason beside it. */
function interceptorsOf(
  { load, maxDecompressionBytes }: Config,
  auth: Interceptor,
  logger: Logger,
  services: readonly DescService[],
  policyOf: (path: string) => CallPolicy,
  openCalls: OpenCalls,
): Interceptor[] {
  const methods = services.flatMap((service) => service.methods);
  const admission = createAdmission(load, {
    openCalls: () => openCalls.size,
    policyOf,
    isExempt: (path) => PROBES.has(path),
  });
  return [
    // Outermost: whatever refuses a call further in, the call is seen, logged and counted, and a stop can end it.
    createObserve(openCalls, [createCallLog(logger), admission.onEnded]),
    // Before auth, which may wait for a key: waiting counts.
    createDeadline(policyOf),
    // Before auth, so that whoever floods the server without a token is kept out as well.
    ...(load.perAddress === 0 ? [] : [createAddressLimit({ ...load, perSecond: load.perAddress })]),
    // Before any work. A flood from one address does not count as load.
    admission.interceptor,
    // Before anything looks at a message of somebody unknown. The caller limit is a part of it.
    auth,
    // Behind auth, so that nobody unknown has a turn. Messages are not read before theirs.
    createDecompression(maxDecompressionBytes),
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

/** Milliseconds that the longest call with a deadline takes. */
function longestOf(policies: readonly CallPolicy[]): number {
  return Math.max(...policies.map(({ longestDeadlineMs: ms }) => ms).filter(Number.isFinite));
}

/** What methods without a policy get, should one ever be served: nobody is let in. */
const CLOSED: CallPolicy = {
  access: Access.UNSPECIFIED,
  defaultDeadlineMs: 1000,
  longestDeadlineMs: 1000,
  maxRequestBytes: DEFAULT_MAX_REQUEST_BYTES,
};

const ANSWERING: CallPolicy = {
  access: Access.PUBLIC,
  defaultDeadlineMs: 5000,
  longestDeadlineMs: 60_000,
  maxRequestBytes: DEFAULT_MAX_REQUEST_BYTES,
};
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

/** An overloaded server that is killed because it does not answer its probes leaves the others with more to do. */
const PROBES: ReadonlySet<string> = new Set([pathOf(Health.method.check), pathOf(Health.method.list)]);

function policyTable(own: ReadonlyMap<DescMethod, CallPolicy>): ReadonlyMap<string, CallPolicy> {
  return new Map([...own, ...FOREIGN_POLICIES].map(([method, policy]) => [pathOf(method), policy]));
}
