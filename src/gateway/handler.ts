import type { IncomingMessage, ServerResponse } from "node:http";
import { Code, type ConnectRouter, createConnectRouter, createContextValues } from "@connectrpc/connect";
import {
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import { type Exchange, exchangeOf } from "./exchange.ts";
import { gathered } from "./gathered.ts";
import { unlessPiecemeal } from "./piecemeal.ts";
import { shortenTimeouts } from "./timeouts.ts";

/** What HTTP requests are answered with. */
export type RequestHandler = (exchange: Exchange) => void;

/**
 * How long a client may take to send a request of one message, or the rest of one that has been answered, in
 * milliseconds. Streams have the deadline of their method.
 */
const MESSAGE_TIMEOUT_MS = 30_000;

type Handler = ConnectRouter["handlers"][number];

/**
 * Answers requests of Connect, gRPC-Web and gRPC for the services that `routes` adds. A request that is none of theirs
 * is answered in JSON, as Connect has errors.
 */
export function createRequestHandler(routes: (router: ConnectRouter) => void): RequestHandler {
  const router = createConnectRouter({
    acceptCompression: [compressionGzip],
    requestGate: (context) => context.values.get(exchangeOf)?.begin(context),
  });
  routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return (exchange) => {
    const { request } = exchange;
    const handler = handlers.get(requestedPath(request));
    if (handler === undefined) refuse(exchange, 404, Code.Unimplemented, "there is no such method");
    else if (handler.method.methodKind === "bidi_streaming" && request.httpVersionMajor < 2)
      refuse(exchange, 505, Code.Unimplemented, `${handler.method.name} streams both ways, which takes HTTP/2`);
    else void answer(handler, exchange);
  };
}

/** The path that a request names. */
export function requestedPath({ url = "" }: IncomingMessage): string {
  return url.split("?", 1)[0] ?? "";
}

async function answer(handler: Handler, exchange: Exchange): Promise<void> {
  const { request, response } = exchange;
  const { methodKind } = handler.method;
  const isOneMessage = methodKind === "unary" || methodKind === "server_streaming";
  if (isOneMessage) limitTime(request);
  shortenTimeouts(request.headers);
  try {
    const values = createContextValues().set(exchangeOf, exchange);
    const asked = universalRequestFromNodeRequest(request, response, undefined, values);
    const body = readUntilAnswered(request, response);
    const answered = await handler({ ...asked, body: isOneMessage ? gathered(body) : unlessPiecemeal(body) });
    // Another method of HTTP, or type of content: nobody has said so to the exchange.
    if (answered.status >= 400) exchange.refuse(Code.Unimplemented);
    await universalResponseToNodeResponse(answered, response);
  } catch {
    // The client is gone, or its request names no host that a URL could have.
    if (response.headersSent) response.destroy();
    else refuse(exchange, 400, Code.InvalidArgument, "the request cannot be read");
  }
}

/**
 * The body of a request. What of it comes after the answer is let pass, so that another request can follow on the
 * connection.
 */
function readUntilAnswered(request: IncomingMessage, response: ServerResponse): AsyncIterable<Uint8Array> {
  const body = request.iterator({ destroyOnReturn: false });
  response.once("close", () => {
    void body.return?.().then(() => request.resume());
  });
  return body;
}

/** Breaks a request off if it is not complete in time. */
export function limitTime(request: IncomingMessage): void {
  const timer = setTimeout(() => request.destroy(), MESSAGE_TIMEOUT_MS);
  const clear = () => clearTimeout(timer);
  request.once("end", clear).once("close", clear);
}

/**
 * Answers with an error in JSON, as Connect has them. Closes a connection of HTTP/1.1, so that the rest of the request
 * need not be read.
 */
export function refuse(exchange: Exchange, status: number, code: Code, message: string): void {
  const { request, response } = exchange;
  exchange.refuse(code);
  if (request.httpVersionMajor < 2) response.setHeader("connection", "close");
  const body = JSON.stringify({ code: toName(code), message });
  response.writeHead(status, { "content-type": "application/json" }).end(body);
}

/** The name of a code in Connect, such as `invalid_argument`. */
function toName(code: Code): string {
  return Code[code].replace(/\B[A-Z]/g, "_$&").toLowerCase();
}
