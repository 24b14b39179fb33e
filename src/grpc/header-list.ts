import type { IncomingHttpHeaders } from "node:http2";
import { REQUEST_ID } from "../contract/headers.ts";

/** What HTTP/2 counts for a header besides its name and its value (RFC 9113, section 6.5.2). */
const OVERHEAD = 32;

/** Headers that grpc-js answers by; all others may be any number of bytes. */
const KEPT: ReadonlySet<string> = new Set([":authority", ":method", ":path", ":scheme", "content-type", "te"]);

/** The request id of a call whose headers were too large. No client's id is like it: those have no spaces. */
export const HEADERS_TOO_LARGE = "headers too large";

/**
 * The size of a header list as HTTP/2 counts it, in characters; `raw` holds names and values in turn. What names
 * entries of the receiver's table again and again (an HPACK bomb) is a few bytes on the wire, and long here; but these
 * strings are views of one, so that to ask for their length copies nothing.
 */
export function headerListSize(raw: readonly string[]): number {
  let size = (raw.length / 2) * OVERHEAD;
  for (const text of raw) size += text.length;
  return size;
}

/** How long an `authorization` may be, in characters. A longer one is bad, whatever it says. */
export const MAX_AUTHORIZATION_LENGTH = 8192;

/** What stands in the place of one that was longer. */
const BAD_AUTHORIZATION = "too large";

/**
 * Shrinks a header list that is too large, before grpc-js copies it. Where that is due to a bad token, a short one
 * takes its place, so that all bad tokens are answered alike. Otherwise what is left is a request id by which the call
 * is known and refused: to reset the stream instead is not possible here, for grpc-js would answer on it, and throw.
 */
export function shrinkHeaderList(headers: IncomingHttpHeaders, size: number, maxSize: number): void {
  const { authorization = "" } = headers;
  if (authorization.length > MAX_AUTHORIZATION_LENGTH && size - authorization.length <= maxSize) {
    headers.authorization = BAD_AUTHORIZATION;
    return;
  }
  for (const name in headers) if (!KEPT.has(name)) delete headers[name];
  headers[REQUEST_ID] = HEADERS_TOO_LARGE;
}
