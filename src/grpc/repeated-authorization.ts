import { subscribe } from "node:diagnostics_channel";
import type { Http2Session, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";

const AUTHORIZATION = "authorization";

const known = new WeakSet<Http2Session>();
let subscribed = false;

/**
 * Makes several `authorization` headers of one request arrive as one, joined by commas as HTTP has it (RFC 9110, 5.3), in every
 * HTTP/2 server of this process from now on. Otherwise node:http2 drops all but the first without a word, and a proxy that
 * looks at the last would judge by another header than this server.
 *
 * node:http2 shows all headers only to listeners of a session, which grpc-js does not give out; its diagnostics channel does,
 * before the first request of the session is told of.
 */
export function joinRepeatedAuthorization(): void {
  if (subscribed) return;
  subscribed = true;
  subscribe("http2.server.stream.created", onCreated);
}

function onCreated(message: unknown): void {
  const { session } = (message as { readonly stream: ServerHttp2Stream }).stream;
  if (session === undefined || known.has(session)) return;
  known.add(session);
  // Before grpc-js makes metadata of the headers.
  session.prependListener("stream", onStream);
}

function onStream(_stream: unknown, headers: IncomingHttpHeaders, _flags: number, raw: readonly string[]): void {
  // Hardly ever: no list is made for the others.
  if (raw.indexOf(AUTHORIZATION) === raw.lastIndexOf(AUTHORIZATION)) return;
  const values = raw.filter((_, index) => index % 2 === 1 && raw[index - 1] === AUTHORIZATION);
  if (values.length > 1) headers.authorization = values.join(", ");
}
