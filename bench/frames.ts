/** gRPC framing, as far as a benchmark needs it: messages packed into one buffer, and back. */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";

/** One byte that tells whether the message is compressed, four of length. */
const PREFIX_BYTES = 5;

/** Encodes messages and packs their frames into one buffer, which is the whole body of a call. */
export function pack<D extends DescMessage>(schema: D, messages: readonly MessageInitShape<D>[]): Buffer {
  const frames = messages.flatMap((message) => {
    const bytes = toBinary(schema, create(schema, message));
    const prefix = Buffer.alloc(PREFIX_BYTES);
    prefix.writeUInt32BE(bytes.length, 1);
    return [prefix, bytes];
  });
  return Buffer.concat(frames);
}

/** Decodes the messages of a whole body. */
export function unpack<D extends DescMessage>(schema: D, body: Buffer): MessageShape<D>[] {
  const messages: MessageShape<D>[] = [];
  for (let at = 0; at < body.length; ) {
    const start = at + PREFIX_BYTES;
    at = start + body.readUInt32BE(start - 4);
    messages.push(fromBinary(schema, body.subarray(start, at)));
  }
  return messages;
}
