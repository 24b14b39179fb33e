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
  const first = headers.flatMap(([name, value]) => [Buffer.from([0x40]), literal(name), literal(value)]);
  const later = headers.map((_, index) => 0x80 | (DYNAMIC_TABLE_START + headers.length - 1 - index));
  return { first: Buffer.concat(first), later: Buffer.from(later) };
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([length(bytes.length), bytes]);
}

/** A number with a prefix of seven bits. */
function length(value: number): Buffer {
  if (value < 0x7f) return Buffer.from([value]);
  const bytes = [0x7f];
  let rest = value - 0x7f;
  for (; rest >= 0x80; rest >>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}
