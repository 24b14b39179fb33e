import type { Socket } from "node:net";
import type { DescMessage, DescService } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type ServerInterceptor, status } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { type Application, userApplication } from "./application.ts";
import { createAuthentication } from "./authentication.ts";
import type { Config } from "./config.ts";
import { pathOf } from "./contract/path.ts";
import { openEntrances } from "./entrances.ts";
import { file_google_rpc_error_details } from "./gen/google/rpc/error_details_pb.ts";
import { ServerReflection } from "./gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "./gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { Health } from "./gen/health/v1/health_pb.ts";
import { CollaborativeEditResponseSchema } from "./gen/user/v1/collaborative_edit_pb.ts";
import { UserSchema } from "./gen/user/v1/user_pb.ts";
import { ChatMessageSchema } from "./gen/user/v1/user_service_pb.ts";
import { WatchUsersResponseSchema } from "./gen/user/v1/watch_pb.ts";
import { ConnectionGuard } from "./grpc/connection-guard.ts";
import { stopGracefully } from "./grpc/graceful-stop.ts";
import { serveHealth } from "./grpc/health.ts";
import { CallerAddresses, connectInProcess } from "./grpc/in-process.ts";
import { LiveStreams } from "./grpc/live-streams.ts";
import { type MountOptions, mount } from "./grpc/mount.ts";
import { createReflection } from "./grpc/reflection.ts";
import { joinRepeatedAuthorization } from "./grpc/repeated-authorization.ts";
import { correctTimeouts } from "./grpc/timeout-header.ts";
import { createAdmission } from "./interceptors/admission.ts";
import { createAuth } from "./interceptors/auth.ts";
import { createCallLog, createRefusalLog } from "./interceptors/call-log.ts";
import { completeStream } from "./interceptors/complete-stream.ts";
import { createDeadline } from "./interceptors/deadline.ts";
import { createDecompression } from "./interceptors/decompression.ts";
import { type CallSubscriber, createObserve, toRequestId, toTraceId } from "./interceptors/observe.ts";
import { OpenCalls } from "./interceptors/open-calls.ts";
import type { Interceptor } from "./interceptors/pass-through.ts";
import { createAddressLimit } from "./interceptors/rate-limits.ts";
import { createValidation } from "./interceptors/validation.ts";
import { createWriteWindow } from "./interceptors/write-window.ts";
import { Policies } from "./policies.ts";

const REFLECTION: readonly DescService[] = [ServerReflection, ServerReflectionAlpha];

/** Messages that are sent many times: encoded once. */
const STORED_TYPES: ReadonlySet<DescMessage> = new Set([
  UserSchema,
  WatchUsersResponseSchema,
  ChatMessageSchema,
  CollaborativeEditResponseSchema,
]);

/**
 * A replica is called as soon as it listens, also by clients that ask no health service; so it first waits so long for
 * what it needs. Without that it listens as well, and says that it cannot serve.
 */
const START_GRACE_MS = 500;

/**
 * The size of the largest message that the gateway reads, in bytes. What it reads, it reads before the server has
 * looked at the caller, and copies as it comes: files are uploaded in chunks of 256 KiB, or over gRPC.
 */
const MAX_GATEWAY_MESSAGE_BYTES = 512 * 1024;

/** How often calls are looked for whose messages arrive in too many pieces: as many as arrive meanwhile are kept. */
const PIECEMEAL_MS = 250;

/** A server that accepts calls. */
export interface RunningServer {
  /** The port it listens on. */
  readonly port: number;
  /** The port of the gateway; undefined if there is none. */
  readonly httpPort: number | undefined;
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
  const policies = new Policies(descriptors);
  const { authentication, connections } = config;
  const auth = createAuth(
    createAuthentication(config, application, logger),
    policies.of,
    authentication && ((userId, onSuspended) => application.watchSuspension(userId, onSuspended)),
  );
  joinRepeatedAuthorization();
  correctTimeouts();
  const guard = new ConnectionGuard(connections, {
    longestCallMs: policies.longestCallMs,
    report: (counts) => logger.warn({ counts }, "connections cut off"),
  });
  const openCalls = new OpenCalls();
  const callers = new CallerAddresses();
  const live = new LiveStreams(connections.maxAgeMs);
  const server = new Server({
    interceptors: interceptorsOf({
      config,
      logger,
      auth,
      policies,
      openCalls,
      callers,
      guard,
      services: [...descriptors, ...REFLECTION],
    }) as ServerInterceptor[],
    "grpc.max_concurrent_streams": connections.maxConcurrentStreams,
    "grpc.max_receive_message_length": policies.maxRequestBytes,
    "grpc.enable_channelz": 0,
  });

  const options: MountOptions = {
    storedTypes: STORED_TYPES,
    isLive: (method) => policies.isLive(pathOf(method)),
    maxRequestBytes: (method) => policies.of(pathOf(method)).maxRequestBytes,
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

  const logRefusal = createRefusalLog(logger);
  // Loaded only where it is wanted: it adds some 50 ms to a start.
  const gateway =
    config.gateway &&
    (await import("./gateway/gateway.ts")).createGateway({
      services: everything,
      connect: connectInProcess(server),
      maxStreams: connections.maxConcurrentStreams,
      maxHeaderListSize: connections.maxHeaderListSize,
      // JSON that is nothing but ASCII takes three times the bytes of a text at most; the server then measures the
      // message itself.
      maxMessageBytes: (method) => Math.min(3 * policies.of(pathOf(method)).maxRequestBytes, MAX_GATEWAY_MESSAGE_BYTES),
      // Streams without a deadline have heartbeats.
      longestSilenceMs: policies.longestCallMs,
      origins: config.gateway.origins,
      callerHeader: (address) => callers.headerFor(address),
      watch: (socket) => guard.watch(socket),
      refusals: {
        toRequestId,
        onRefused: ({ traceparent, ...refused }) => logRefusal({ ...refused, traceId: toTraceId(traceparent) }),
      },
    });
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const hosts = {
    grpc: (socket: Socket) => injector.injectConnection(socket),
    http: gateway && ((socket: Socket) => gateway.accept(socket)),
  };
  await readiness.within(START_GRACE_MS);
  const entrances = await openEntrances(config, guard, hosts, logger).catch(async (error: unknown) => {
    guard.close();
    gateway?.close();
    await application.close();
    throw error;
  });
  const piecemealTimer = setInterval(() => openCalls.endPiecemeal(), PIECEMEAL_MS).unref();
  readiness.follow((ready) => health.set(ready ? "SERVING" : "NOT_SERVING"));
  let stopping: Promise<void> | undefined;
  return {
    port: entrances.port,
    httpPort: entrances.httpPort,
    get openCalls() {
      return openCalls.size;
    },
    get openConnections() {
      return guard.count.size;
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
    const parts = { entrances, server, connections: guard, gateway, health, live, calls: openCalls };
    await stopGracefully(parts, times);
    clearInterval(piecemealTimer);
    guard.close();
    await guard.gone();
    await application.close();
  }
}

/** What the interceptors are made of. */
interface InterceptorParts {
  readonly config: Config;
  readonly logger: Logger;
  readonly auth: Interceptor;
  readonly policies: Policies;
  readonly openCalls: OpenCalls;
  readonly callers: CallerAddresses;
  readonly guard: ConnectionGuard;
  readonly services: readonly DescService[];
}

/** The interceptors, from the wire inward. Each stands where it does for the reason beside it. */
function interceptorsOf({
  config,
  logger,
  auth,
  policies,
  openCalls,
  callers,
  guard,
  services,
}: InterceptorParts): Interceptor[] {
  const { load, maxDecompressionBytes } = config;
  const countWasted: CallSubscriber = ({ code }) => {
    if (code === status.RESOURCE_EXHAUSTED) guard.callWasted();
  };
  const methods = services.flatMap((service) => service.methods);
  const admission = createAdmission(load, {
    openCalls: () => openCalls.size,
    policyOf: policies.of,
    isExempt: policies.isProbe,
  });
  return [
    // Outermost: whatever refuses a call further in, the call is seen, logged and counted, and a stop can end it.
    createObserve(openCalls, [createCallLog(logger), admission.onEnded, countWasted]),
    // Before auth, which may wait for a key: waiting counts.
    createDeadline(policies.of),
    // Before auth, so that whoever floods the server without a token is kept out as well.
    ...(load.perAddress === 0 ? [] : [createAddressLimit({ ...load, perSecond: load.perAddress }, callers)]),
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
    createWriteWindow(policies.isLive),
  ];
}
