/** What gRPC puts before each message: a flag, which says that it is not compressed, and the length. */
const PREFIX_BYTES = 5;
const LENGTH_BYTES = 4;

/**
 * Packs several messages into one, as far as grpc-js can tell: it writes them at once, which costs a fraction of
 * writing each. On the wire they are the frames of several messages.
 *
 * grpc-js puts a prefix before what its serializer returns, and copies that behind it. What is returned here holds the
 * prefixes of all messages but the first, and when it is copied, corrects the length in the prefix before it. Should
 * grpc-js come to frame messages in another way, clients will not be able to read them, and tests fail.
 */
export function packMessages(messages: readonly Buffer[], allocate = Buffer.allocUnsafe): Buffer {
  const [first, ...others] = messages;
  if (first === undefined || others.length === 0) return first ?? Buffer.alloc(0);

  const packed = allocate(messages.reduce((sum, { length }) => sum + PREFIX_BYTES + length, -PREFIX_BYTES));
  let end = first.copy(packed);
  for (const message of others) {
    end = packed.writeUInt8(0, end);
    end = packed.writeUInt32BE(message.length, end);
    end += message.copy(packed, end);
  }
  packed.copy = (target: Buffer, start = 0) => {
    target.set(packed, start);
    target.writeUInt32BE(first.length, start - LENGTH_BYTES);
    return packed.length;
  };
  return packed;
}
