import { create, toBinary } from "@bufbuild/protobuf";
import { GetUserRequestSchema } from "../../src/gen/user/v1/user_service_pb.ts";
import { callFields, data, FLAG, headers, literalBlock, windowUpdate } from "../support/http2-frames.ts";
import { frame } from "../support/raw-http2.ts";
import { openSessions } from "./flood.ts";
import type { FrameConnection } from "./frame-connection.ts";

const CONNECTIONS = 20;
const CALLS_IN_FLIGHT = 50;
const WIDE = 2 ** 30;

/** Calls GetUser over 20 connections, with 50 calls in flight on each: what a busy server has to do on any day. */
export async function loadHonestly(
  { port, token, userId }: { readonly port: number; readonly token: string; readonly userId: string },
  calls: number,
): Promise<void> {
  const block = literalBlock(callFields("/user.v1.UserService/GetUser", token));
  const body = frame(toBinary(GetUserRequestSchema, create(GetUserRequestSchema, { id: userId })));
  const connections = await openSessions(port, CONNECTIONS, { atEnd: () => {} });
  await Promise.all(connections.map((connection) => load(connection, block, body, calls / CONNECTIONS)));
  for (const { socket } of connections) socket.destroy();
}

async function load(connection: FrameConnection, block: Buffer, body: Buffer, calls: number): Promise<void> {
  await connection.write(windowUpdate(0, WIDE));
  for (let started = 0; connection.endedStreams < calls; ) {
    const free = Math.min(CALLS_IN_FLIGHT - (started - connection.endedStreams), calls - started);
    const frames: Buffer[] = [];
    for (let count = 0; count < free; count++, started++) {
      const id = 2 * started + 1;
      frames.push(headers(id, block), data(id, body, FLAG.END_STREAM));
    }
    if (frames.length > 0) await connection.write(Buffer.concat(frames));
    await connection.heard();
  }
}
