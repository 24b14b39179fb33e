import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2";
import type { Duplex } from "node:stream";
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";

// Nothing here needs the test runner: clients in processes of their own use it too.

/** A message as gRPC frames it: uncompressed, behind its length. */
export function frame<S extends DescMessage>(schema: S, message: MessageInitShape<S>): Buffer {
  const bytes = toBinary(schema, create(schema, message));
  const framed = Buffer.alloc(5 + bytes.length);
  framed.writeUInt32BE(bytes.length, 1);
  framed.set(bytes, 5);
  return framed;
}

/** Opens a call by hand, for what no gRPC client does. Errors of its stream are dropped: `endOf` tells how it ended. */
export function rawCall(
  session: ClientHttp2Session,
  path: string,
  metadata: Readonly<Record<string, string>>,
): ClientHttp2Stream {
  const stream = session.request(
    {
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: path,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
      [constants.HTTP2_HEADER_TE]: "trailers",
      ...metadata,
    },
    { endStream: false },
  );
  return stream.on("error", () => {});
}

/** Waits until a stream or socket is closed, with or without an error before. */
export function closed(stream: Pick<Duplex, "once">): Promise<void> {
  return new Promise((resolve) => stream.once("close", resolve));
}

/** The name of the status that a call ends with, or `undefined` if its stream closes without one. Reads the response. */
export async function endOf(stream: ClientHttp2Stream): Promise<string | undefined> {
  let code: unknown;
  const look = (headers: Readonly<Record<string, unknown>>): void => {
    code ??= headers["grpc-status"];
  };
  stream.on("response", look).on("trailers", look).resume();
  // `stream.closed` would tell of the HTTP/2 state, which changes before the last headers are read.
  if (!stream.destroyed) await closed(stream);
  return code === undefined ? undefined : status[Number(code)];
}
