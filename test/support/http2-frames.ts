/**
 * HTTP/2 frames (RFC 9113) by hand: what no client library writes. Nothing is checked, because what is wrong is the point.
 */

export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** Types of frames. */
export const TYPE = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const FLAG = { ACK: 1, END_STREAM: 1, END_HEADERS: 4 } as const;

/** Settings by their identifiers. */
export const SETTING = { HEADER_TABLE_SIZE: 1, ENABLE_PUSH: 2, INITIAL_WINDOW_SIZE: 4, MAX_FRAME_SIZE: 5 } as const;

export const ERROR_CODES = [
  "NO_ERROR",
  "PROTOCOL_ERROR",
  "INTERNAL_ERROR",
  "FLOW_CONTROL_ERROR",
  "SETTINGS_TIMEOUT",
  "STREAM_CLOSED",
  "FRAME_SIZE_ERROR",
  "REFUSED_STREAM",
  "CANCEL",
  "COMPRESSION_ERROR",
  "CONNECT_ERROR",
  "ENHANCE_YOUR_CALM",
  "INADEQUATE_SECURITY",
  "HTTP_1_1_REQUIRED",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

const EMPTY = Buffer.alloc(0);

/** A frame of any type. */
export function frameOf(type: number, flags = 0, streamId = 0, payload: Uint8Array = EMPTY): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** A SETTINGS frame of pairs of identifier and value. */
export function settings(...pairs: (readonly [identifier: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(pairs.length * 6);
  for (const [index, [identifier, value]] of pairs.entries()) {
    payload.writeUInt16BE(identifier, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  }
  return frameOf(TYPE.SETTINGS, 0, 0, payload);
}

export function settingsAck(): Buffer {
  return frameOf(TYPE.SETTINGS, FLAG.ACK, 0);
}

/** A HEADERS frame of a header block, or of the first part of one. */
export function headers(streamId: number, block: Uint8Array, flags: number = FLAG.END_HEADERS): Buffer {
  return frameOf(TYPE.HEADERS, flags, streamId, block);
}

export function continuation(streamId: number, block: Uint8Array, flags = 0): Buffer {
  return frameOf(TYPE.CONTINUATION, flags, streamId, block);
}

export function data(streamId: number, payload: Uint8Array, flags = 0): Buffer {
  return frameOf(TYPE.DATA, flags, streamId, payload);
}

export function ping(): Buffer {
  return frameOf(TYPE.PING, 0, 0, Buffer.alloc(8));
}

export function resetStream(streamId: number, code: ErrorCode = "CANCEL"): Buffer {
  return frameOf(TYPE.RST_STREAM, 0, streamId, uint32(ERROR_CODES.indexOf(code)));
}

/** Widens the window of a stream, or of the connection if it is stream 0. */
export function windowUpdate(streamId: number, increment: number): Buffer {
  return frameOf(TYPE.WINDOW_UPDATE, 0, streamId, uint32(increment));
}

/** Says that a stream depends on another (RFC 7540, deprecated). */
export function priority(streamId: number, dependency: number): Buffer {
  return frameOf(TYPE.PRIORITY, 0, streamId, Buffer.concat([uint32(dependency), Buffer.of(15)]));
}

/** A header block in which every field is a literal that no table keeps: it needs no state (RFC 7541, 6.2.2). */
export function literalBlock(fields: Iterable<readonly [name: string, value: string]>): Buffer {
  const parts = [...fields].flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]);
  return Buffer.concat(parts);
}

/** A literal that the table of the receiver keeps (RFC 7541, 6.2.1): from then on one byte stands for it. */
export function indexedLiteral(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.of(0x40), text(name), text(value)]);
}

/** The byte that stands for the newest entry of the receiver's table. */
export const NEWEST_ENTRY = 0x80 | 62;

/** The header fields of a call. */
export function callFields(path: string, token?: string): [name: string, value: string][] {
  return [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "localhost"],
    ["te", "trailers"],
    ["content-type", "application/grpc"],
    ...(token === undefined ? [] : [["authorization", `Bearer ${token}`] satisfies [string, string]]),
  ];
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([hpackInteger(bytes.length), bytes]);
}

/** An integer with a prefix of seven bits (RFC 7541, 5.1). */
function hpackInteger(value: number): Buffer {
  if (value < 127) return Buffer.of(value);
  const bytes = [127];
  let rest = value - 127;
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
