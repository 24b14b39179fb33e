import { once } from "node:events";
import { type ClientHttp2Stream, connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { onTestFinished } from "vitest";

/** What a server answers to a raw request. */
export interface RawResponse {
  readonly headers: IncomingHttpHeaders;
  /** The trailers; those of a trailers-only answer are its headers. */
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A gRPC call made by hand, frame by frame. */
export interface RawRequest {
  readonly stream: ClientHttp2Stream;
  /** Settles when the answer is complete; rejects if the stream breaks. */
  readonly response: Promise<RawResponse>;
}

/** Node.js sends no more than 64 KiB unless told. */
const LARGEST_HEADERS = 2 ** 20;

/** Opens a call on a connection of its own, and sends the headers. */
export function openRequest(port: number, path: string, headers: OutgoingHttpHeaders = {}): RawRequest {
  const session = connect(`http://127.0.0.1:${port}`, { maxSendHeaderBlockLength: LARGEST_HEADERS });
  // A broken connection shows at the stream.
  session.on("error", () => {});
  onTestFinished(() => session.destroy());
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  const response = receive(stream);
  response.catch(() => {});
  return { stream, response };
}

async function receive(stream: ClientHttp2Stream): Promise<RawResponse> {
  let headers: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders | undefined;
  const chunks: Buffer[] = [];
  stream.on("response", (received) => {
    headers = received;
  });
  stream.on("trailers", (received) => {
    trailers = received;
  });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(stream, "end");
  return { headers, trailers: trailers ?? headers, body: Buffer.concat(chunks) };
}

/** Frames a message as gRPC does: a flag, which says whether it is compressed, a length, the bytes. */
export function frame(message: Uint8Array, flag = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flag);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}
