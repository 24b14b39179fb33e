import type { IncomingMessage, ServerResponse } from "node:http";
import { type ConnectRouter, createConnectRouter, createContextValues } from "@connectrpc/connect";
import {
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import { Exchange, exchangeOf } from "./exchange.ts";
import { shortenTimeouts } from "./timeouts.ts";

/** What HTTP requests are answered with. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;

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
    requestGate: (context) => context.values.get(exchangeOf).begin(context),
  });
  routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return (request, response) => {
    const handler = handlers.get(request.url?.split("?", 1)[0] ?? "");
    if (handler === undefined) refuse(response, 404, "unimplemented", "there is no such method");
    else if (handler.method.methodKind === "bidi_streaming" && request.httpVersionMajor < 2)
      refuse(response, 505, "unimplemented", `${handler.method.name} streams both ways, which takes HTTP/2`);
    else void answer(handler, request, response);
  };
}

async function answer(handler: Handler, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { methodKind } = handler.method;
  if (methodKind === "unary" || methodKind === "server_streaming") limitTime(request);
  shortenTimeouts(request.headers);
  try {
    const values = createContextValues().set(exchangeOf, new Exchange(request.socket.remoteAddress ?? ""));
    const asked = universalRequestFromNodeRequest(request, response, undefined, values);
    const answered = await handler({ ...asked, body: readUntilAnswered(request, response) });
    await universalResponseToNodeResponse(answered, response);
  } catch {
    // The client is gone, or its request names no host that a URL could have.
    if (response.headersSent) response.destroy();
    else refuse(response, 400, "invalid_argument", "the request cannot be read");
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
 * Answers with an error in JSON, as Connect has them, `code` being the name of a gRPC code in lower case. Closes a
 * connection of HTTP/1.1, so that the rest of the request need not be read.
 */
export function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  if (response.req.httpVersionMajor < 2) response.setHeader("connection", "close");
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ code, message }));
}
