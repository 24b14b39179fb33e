import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Http2Session, ServerHttp2Stream } from "node:http2";

/** Where node:http2 tells of each request when its headers are complete, and before its server, grpc-js, is told. */
const CHANNEL = "http2.server.stream.created";

/** Is told of a session. */
export type OnSessionStart = (session: Http2Session) => void;

/** Marks sessions that are known. A property does what a WeakSet would, without looking every request up. */
const KNOWN = Symbol("known");

const listeners = new Set<OnSessionStart>();

/**
 * Has `listener` called once with each HTTP/2 session of any server in this process, grpc-js's too, which does not give
 * them out: when its first request has arrived, and nobody has seen it yet. So a listener of the session's event
 * `stream` that is put before the others (prependListener) sees, and may change, the headers of every request. Adding a
 * listener twice changes nothing. Returns what stops it.
 *
 * There is one subscriber of node:http2's channel, because each is called for every request.
 */
export function onSessionStart(listener: OnSessionStart): () => void {
  if (listeners.size === 0) subscribe(CHANNEL, onStreamCreated);
  listeners.add(listener);
  return () => {
    if (listeners.delete(listener) && listeners.size === 0) unsubscribe(CHANNEL, onStreamCreated);
  };
}

function onStreamCreated(message: unknown): void {
  const session: (Http2Session & { [KNOWN]?: true }) | undefined = (message as { stream: ServerHttp2Stream }).stream
    .session;
  if (session === undefined || session[KNOWN]) return;
  session[KNOWN] = true;
  for (const listener of listeners) listener(session);
}
