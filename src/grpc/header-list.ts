import type { IncomingHttpHeaders } from "node:http2";

/** What HTTP/2 counts for a header besides its name and its value (RFC 9113, section 6.5.2). */
const OVERHEAD = 32;

/** What grpc-js needs to answer: pseudo-headers. */
const PSEUDO = ":";

/**
 * The size of a header list as HTTP/2 counts it, in characters. What names entries of the receiver's table again and again (an HPACK
 * bomb) is a few bytes on the wire, and long here; but these strings are views of one, so that to ask for their length copies nothing.
 */
export function headerListSize(headers: IncomingHttpHeaders): number {
  let size = 0;
  for (const name in headers) size += name.length + (headers[name]?.length ?? 0) + OVERHEAD;
  return size;
}

/**
 * Makes of a header list that is too large one that grpc-js refuses, with the HTTP status 415, before it copies anything: what is
 * left of it names no content type. To reset the stream instead is not possible here: grpc-js would answer on it, and throw.
 */
export function emptyHeaderList(headers: IncomingHttpHeaders): void {
  for (const name in headers) if (!name.startsWith(PSEUDO)) delete headers[name];
}
