import type { Http2Session, IncomingHttpHeaders } from "node:http2";
import { onSessionStart } from "./session-start.ts";

const AUTHORIZATION = "authorization";

/**
 * Makes several `authorization` headers of one request arrive as one, joined by commas as HTTP has it (RFC 9110, 5.3),
 * in every HTTP/2 server of this process from now on. Otherwise node:http2 drops all but the first without a word, and
 * a proxy that looks at the last would judge by another header than this server. Calling it again changes nothing.
 */
export function joinRepeatedAuthorization(): void {
  onSessionStart(joinInSession);
}

function joinInSession(session: Http2Session): void {
  // Before grpc-js makes metadata of the headers.
  session.prependListener("stream", joinInRequest);
}

function joinInRequest(_stream: unknown, headers: IncomingHttpHeaders, _flags: number, raw: readonly string[]): void {
  // Hardly ever: no list is made for the others.
  if (raw.indexOf(AUTHORIZATION) === raw.lastIndexOf(AUTHORIZATION)) return;
  const values = raw.filter((_, index) => index % 2 === 1 && raw[index - 1] === AUTHORIZATION);
  // If it is not the first, it was too large, and has been replaced or taken away.
  if (values.length > 1 && headers.authorization === values[0]) headers.authorization = values.join(", ");
}
