import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** What an HTTP/2 client says first (RFC 9113, section 3.4). */
export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;

export const END_STREAM = 1;
export const END_HEADERS = 4;

/** A frame of HTTP/2 (RFC 9113, section 4.1). */
export function http2Frame(
  type: number,
  flags = 0,
  stream = 0,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer<ArrayBuffer> {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header block without compression (RFC 7541, section 6.2.2). Names and values have less than 127 bytes. */
export function headerBlock(headers: Readonly<Record<string, string>>): Buffer<ArrayBuffer> {
  const text = (value: string) => Buffer.concat([Buffer.of(value.length), Buffer.from(value)]);
  return Buffer.concat(
    Object.entries(headers).map(([name, value]) => Buffer.concat([Buffer.of(0), text(name), text(value)])),
  );
}

/** The headers of a gRPC call. */
export function callHeaders(path: string): Buffer<ArrayBuffer> {
  return headerBlock({
    ":method": "POST",
    ":scheme": "http",
    ":path": path,
    ":authority": "localhost",
    "content-type": "application/grpc",
    te: "trailers",
  });
}

/** A connection whose frames a test writes itself. Nothing that arrives is answered. */
export interface RawConnection {
  readonly socket: Socket;
  /** Resolves when the server has ended the connection. */
  readonly closed: Promise<void>;
  /** What has arrived of this type: payloads, oldest first. */
  payloads(type: number): Buffer[];
  /** Waits for a frame of this type. */
  received(type: number): Promise<void>;
}

/** Connects, and sends these bytes. */
export async function openRawConnection(port: number, ...chunks: readonly Buffer[]): Promise<RawConnection> {
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  // A connection that is cut off breaks in one way or another.
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  let bytes = Buffer.alloc(0);
  const frames: { type: number; payload: Buffer }[] = [];
  socket.on("data", (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    for (;;) {
      const end = bytes.length < 9 ? Number.POSITIVE_INFINITY : 9 + bytes.readUIntBE(0, 3);
      if (bytes.length < end) return;
      frames.push({ type: bytes.readUInt8(3), payload: bytes.subarray(9, end) });
      bytes = bytes.subarray(end);
    }
  });
  await Promise.race([once(socket, "connect"), closed]);
  for (const chunk of chunks) socket.write(chunk);
  const payloads = (type: number) => frames.filter((frame) => frame.type === type).map(({ payload }) => payload);
  return {
    socket,
    closed,
    payloads,
    async received(type) {
      while (payloads(type).length === 0) await once(socket, "data");
    },
  };
}
