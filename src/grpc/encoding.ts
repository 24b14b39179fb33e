import { type DescField, type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";

/** Turns a response message into the bytes that grpc-js puts on the wire. The bytes are not to be changed. */
export type Encode = (message: Message) => Buffer;

const LENGTH_DELIMITED = 2;

/** The bytes of frozen messages, kept as long as the messages themselves. */
const kept = new WeakMap<Message, Buffer>();

/**
 * Makes the encoder of one message type. Frozen messages of the types in `stored` are encoded once and then served from
 * memory; a message that does nothing but wrap one of these is framed around the stored bytes.
 */
export function createEncoder(schema: DescMessage, stored: ReadonlySet<DescMessage>): Encode {
  const plain: Encode = (message) => toBuffer(toBinary(schema, message));
  if (stored.has(schema)) return keeping(plain);

  const [field, ...others] = schema.fields;
  const wrapsOne = field?.fieldKind === "message" && others.length === 0 && stored.has(field.message);
  return wrapsOne
    ? framing(
        field,
        keeping((message) => toBuffer(toBinary(field.message, message))),
        plain,
      )
    : plain;
}

function keeping(encode: Encode): Encode {
  return (message) => {
    const known = kept.get(message);
    if (known !== undefined) return known;
    const bytes = encode(message);
    if (Object.isFrozen(message)) kept.set(message, bytes);
    return bytes;
  };
}

/** Encodes a message whose only field is `field`, around the bytes of the field's value. */
function framing(field: DescField, encodeValue: Encode, plain: Encode): Encode {
  const tag = varint((field.number << 3) | LENGTH_DELIMITED);
  return (message) => {
    const value = (message as Message & Record<string, Message | undefined>)[field.localName];
    if (value === undefined || message.$unknown !== undefined) return plain(message);
    const bytes = encodeValue(value);
    const length = varint(bytes.length);
    const framed = Buffer.allocUnsafe(tag.length + length.length + bytes.length);
    framed.set(tag, 0);
    framed.set(length, tag.length);
    framed.set(bytes, tag.length + length.length);
    return framed;
  };
}

/** A non-negative integer below 2^31 as a protobuf varint. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
