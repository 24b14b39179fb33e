import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2Server, type Http2Session, type Settings } from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { DescService } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { createCors } from "./cors.ts";
import { forward } from "./forward.ts";
import { callerAddress, createRequestHandler, refuse } from "./handler.ts";
import { InProcessSessions } from "./in-process-sessions.ts";
import { sniffProtocol } from "./protocol-sniffer.ts";

/** What a gateway is made of. */
export interface GatewayOptions {
  /** What the server behind it serves. */
  readonly services: readonly DescService[];
  /** Opens a connection to that server, within the process. */
  connect(): Duplex;
  /** How many calls it allows on one of them. */
  readonly maxStreams: number;
  /** How large the headers of a request may be, in bytes; 0 for what Node.js allows. */
  readonly maxHeaderListSize: number;
  /** The size of the largest message that is read, in bytes, after decompression. */
  readonly maxMessageBytes: number;
  /** The origins of the pages whose scripts may call; `*` for all. */
  readonly origins: readonly string[];
  /** The header by which the server believes the gateway who calls. */
  callerHeader(address: string): readonly [name: string, value: string];
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

/** How long a client may take for the headers of a request, in milliseconds, and a connection may wait for one. */
const HEADERS_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 60_000;

/**
 * Makes a gateway. It translates protocols and does nothing else: every call goes to the server as a gRPC call, through all of
 * its interceptors, so that there is one place for each policy.
 */
export function createGateway(options: GatewayOptions): Gateway {
  const { services, maxMessageBytes, callerHeader } = options;
  const sessions = new InProcessSessions(options.connect, options.maxStreams);
  const upstream = createGrpcTransport({
    baseUrl: sessions.authority,
    sessionManager: sessions,
    acceptCompression: [],
  });
  const added = ({ values }: HandlerContext) => [callerHeader(values.get(callerAddress))];
  const handle = createRequestHandler((router) => {
    for (const service of services) router.service(service, forward(service, upstream, added));
  }, maxMessageBytes);
  const answersPreflight = createCors(options.origins);
  const responses = new Set<ServerResponse>();
  const idle = Promise.withResolvers<void>();
  let draining = false;

  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    responses.add(response);
    response.once("close", () => {
      responses.delete(response);
      if (draining && responses.size === 0) idle.resolve();
    });
    // Answers hold what is known of people, and are for who asked.
    response.setHeader("cache-control", "no-store");
    response.setHeader("x-content-type-options", "nosniff");
    if (answersPreflight(request, response)) return;
    if (draining) refuse(response, 503, "unavailable", "the server is stopping");
    else handle(request, response);
  };
  const http1 = createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: IDLE_TIMEOUT_MS,
      // Uploads take as long as their deadline; see the handler.
      requestTimeout: 0,
    },
    onRequest,
  );
  // It looks after its timeouts and its idle connections only once it listens, which here somebody else does for it.
  http1.emit("listening");
  // The compatibility API of node:http2 has the same requests and responses, as far as they are used here.
  const http2 = createHttp2Server({ settings: toSettings(options) }, onRequest as never);
  const open = new Set<Http2Session>();
  http2.on("session", (session) => {
    open.add(session);
    session.once("close", () => open.delete(session));
    session.on("error", () => {});
    session.setTimeout(IDLE_TIMEOUT_MS, () => session.close());
  });

  return {
    accept: (socket) => sniffProtocol(socket, http1, http2, HEADERS_TIMEOUT_MS),
    drain() {
      draining = true;
      if (responses.size === 0) idle.resolve();
      http1.closeIdleConnections();
      for (const session of open) session.close();
    },
    idle: () => idle.promise,
    close() {
      http1.close().closeAllConnections();
      for (const session of open) session.destroy();
      sessions.close();
    },
  };
}

function toSettings({ maxStreams, maxHeaderListSize }: GatewayOptions): Settings {
  return { maxConcurrentStreams: maxStreams, ...(maxHeaderListSize > 0 && { maxHeaderListSize }) };
}
