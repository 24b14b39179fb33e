import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { onTestFinished } from "vitest";

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
