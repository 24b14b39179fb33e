import { indexedLiteral } from "./http2-frames.ts";

/**
 * The header block of a request, as HTTP/2 compresses it (RFC 7541), for a client that sends the same headers again and
 * again: the first block of a connection spells them out and has them remembered, each later one names what is remembered.
 */
export interface RepeatedHeaders {
  readonly first: Buffer;
  readonly later: Buffer;
}

/** Where the entries that a connection has remembered begin, the newest first. */
const DYNAMIC_TABLE_START = 62;

export function repeatedHeaders(headers: readonly (readonly [name: string, value: string])[]): RepeatedHeaders {
  const first = headers.map(([name, value]) => indexedLiteral(name, value));
  const later = headers.map((_, index) => 0x80 | (DYNAMIC_TABLE_START + headers.length - 1 - index));
  return { first: Buffer.concat(first), later: Buffer.from(later) };
}
