import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code, type HandlerContext } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { pathOf } from "../contract/path.ts";
import { createCors } from "./cors.ts";
import { Exchange, exchangeOf, type Refusals } from "./exchange.ts";
import { forward } from "./forward.ts";
import { createRequestHandler, limitTime, refuse, requestedPath } from "./handler.ts";
import { InProcessSessions } from "./in-process-sessions.ts";
import { sniffProtocol } from "./protocol-sniffer.ts";

/** What a gateway is made of. */
export interface GatewayOptions {
  /** What the server behind it serves. */
  readonly services: readonly DescService[];
  /** Opens a connection to that server, within the process. */
  connect(): Duplex;
  /** How many calls a connection may have open, to the server and to the gateway. */
  readonly maxStreams: number;
  /** How large the headers of a request of HTTP/1.1 may be, in bytes; 0 for what Node.js allows. */
  readonly maxHeaderListSize: number;
  /**
   * The size of the largest message of a method that is read, in bytes, after decompression. Callers are not known
   * before that.
   */
  maxMessageBytes(method: DescMethod): number;
  /**
   * Milliseconds after which a connection of HTTP/1.1 is closed that carries nothing, though calls are open: nobody
   * reads, say.
   */
  readonly longestSilenceMs: number;
  /** The origins of the pages whose scripts may call; `*` for all. */
  readonly origins: readonly string[];
  /** The header by which the server believes the gateway who calls. */
  callerHeader(address: string): readonly [name: string, value: string];
  /**
   * Holds a connection of HTTP/2 to the limits of such connections: their headers, their age, their idleness, floods of
   * frames.
   */
  watch(socket: Socket): void;
  /** What becomes of requests that are refused before they are calls. */
  readonly refusals: Refusals;
}

/** Connect and gRPC-Web, for browsers and curl, in front of a gRPC server. */
export interface Gateway {
  /** Serves a connection, in HTTP/1.1 or, with prior knowledge, in HTTP/2. */
  accept(socket: Socket): void;
  /** Refuses requests that come from now on. Those that are open go on. */
  drain(): void;
  /** Resolves when none is open. */
  idle(): Promise<void>;
  /** Closes all connections. */
  close(): void;
}

/**
 * How long a client may take for the headers of a request, in milliseconds, and a connection of HTTP/1.1 may wait for
 * one.
 */
const HEADERS_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 60_000;
/** How often that is looked at. Node's default is half a minute. */
const CHECK_MS = 2000;

/**
 * Makes a gateway. It translates protocols and does nothing else: every call goes to the server as a gRPC call, through
 * all of its interceptors, so that there is one place for each policy.
 */
export function createGateway(options: GatewayOptions): Gateway {
  const { services, maxStreams, maxHeaderListSize, maxMessageBytes, callerHeader } = options;
  const sessions = new InProcessSessions(options.connect, maxStreams);
  const upstream = createGrpcTransport({
    baseUrl: sessions.authority,
    sessionManager: sessions,
    acceptCompression: [],
  });
  const added = ({ values }: HandlerContext) => [callerHeader(values.get(exchangeOf)?.caller ?? "")];
  const methods = services.flatMap((service) => service.methods);
  const paths = new Set(methods.map(pathOf));
  const handle = createRequestHandler((router) => {
    for (const method of methods)
      router.rpc(method, forward(method, upstream, added), { readMaxBytes: maxMessageBytes(method) });
  });
  const answerPreflight = createCors(options.origins);
  const sockets = new Set<Socket>();
  const responses = new Set<ServerResponse>();
  /** How many responses a connection of HTTP/1.1 waits for: its requests may follow one another without waiting. */
  const pipelined = new WeakMap<Socket, number>();
  const idle = Promise.withResolvers<void>();
  let draining = false;

  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const path = requestedPath(request);
    const exchange = new Exchange(request, response, paths.has(path) ? path : "", options.refusals);
    responses.add(response);
    response.once("close", () => {
      exchange.end();
      responses.delete(response);
      if (draining && responses.size === 0) idle.resolve();
      // Nobody waits for the rest of a request that has been answered, which could go on for ever.
      if (!request.complete) limitTime(request);
    });
    // Answers hold what is known of people, and are for who asked.
    response.setHeader("cache-control", "no-store");
    response.setHeader("x-content-type-options", "nosniff");
    const preflight = answerPreflight(request, response);
    if (preflight === "refused") exchange.refuse(Code.PermissionDenied);
    if (preflight !== undefined) response.writeHead(204).end();
    else if (draining) refuse(exchange, 503, Code.Unavailable, "the server is stopping");
    else handle(exchange);
  };
  const onPipelined = (request: IncomingMessage, response: ServerResponse): void => {
    const { socket } = request;
    const waiting = (pipelined.get(socket) ?? 0) + 1;
    pipelined.set(socket, waiting);
    response.once("close", () => pipelined.set(socket, (pipelined.get(socket) ?? 0) - 1));
    if (waiting > maxStreams) socket.destroy();
    else onRequest(request, response);
  };
  const http1 = createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_MS,
      keepAliveTimeout: IDLE_TIMEOUT_MS,
      // Uploads take as long as their deadline; see the handler.
      requestTimeout: 0,
      // Otherwise all but the first of them are dropped, also of several `authorization`; see
      // joinRepeatedAuthorization.
      joinDuplicateHeaders: true,
      ...(maxHeaderListSize > 0 && { maxHeaderSize: maxHeaderListSize }),
    },
    onPipelined,
  );
  // It looks after its timeouts and its idle connections only once it listens, which here somebody else does for it.
  http1.emit("listening");
  http1.setTimeout(options.longestSilenceMs);
  // The compatibility API of node:http2 has the same requests and responses, as far as they are used here.
  const http2 = createHttp2Server({ settings: { maxConcurrentStreams: maxStreams } }, onRequest as never);
  http2.on("session", (session) => session.on("error", () => {}));
  const toHttp1 = (socket: Socket): boolean => http1.emit("connection", socket);
  const toHttp2 = (socket: Socket): void => {
    options.watch(socket);
    http2.emit("connection", socket);
  };

  return {
    accept(socket) {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      sniffProtocol(socket, toHttp1, toHttp2, HEADERS_TIMEOUT_MS);
    },
    drain() {
      draining = true;
      if (responses.size === 0) idle.resolve();
      http1.closeIdleConnections();
    },
    idle: () => idle.promise,
    close() {
      http1.close();
      for (const socket of sockets) socket.destroy();
      sessions.close();
    },
  };
}
