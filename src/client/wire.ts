import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";

/**
 * Encodes a request.
 *
 * @throws ConnectError if a field holds what its type cannot.
 */
export function encode(schema: DescMessage, message: Message): Buffer {
  try {
    const bytes = toBinary(schema, message);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } catch (error) {
    throw ConnectError.from(error, Code.InvalidArgument);
  }
}

/** Makes the function that decodes responses for grpc-js. */
export function decoderOf(schema: DescMessage): (bytes: Buffer) => Message {
  return (bytes) => fromBinary(schema, bytes);
}

/** The serializer of requests that are bytes already. */
export function asIs(bytes: Buffer): Buffer {
  return bytes;
}
