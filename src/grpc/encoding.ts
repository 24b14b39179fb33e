import { type DescField, type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { compileDecoder } from "./compiled-decoder.ts";
import { compileEncoder } from "./compiled-encoder.ts";
import { RequestTooLargeError } from "./errors.ts";
import { exceedsStructure } from "./structure.ts";

/** Turns a response message into the bytes that grpc-js puts on the wire. The bytes are not to be changed. */
export type Encode = (message: Message) => Buffer;

/**
 * Makes the encoder of one message type. Frozen messages of the types in `stored` are encoded once, and then served
 * from memory for as long as they exist; so are messages that do nothing but wrap one of these.
 */
export function createEncoder(schema: DescMessage, stored: ReadonlySet<DescMessage>): Encode {
  const encode = createPlainEncoder(schema);
  if (stored.has(schema)) return keeping(encode);

  const [field, ...others] = schema.fields;
  const wrapsOne = field?.fieldKind === "message" && others.length === 0 && stored.has(field.message);
  return wrapsOne ? wrapping(field, encode) : encode;
}

/** A request message, or why it was not decoded, for somebody who can refuse it. */
export type Decoded = Message | RequestTooLargeError;

/** What a request says in fields that nobody here knows is of no use, but could fill the memory. */
const DECODING = { readUnknownFields: false };

/** What large requests may hold besides their texts and bytes. The largest that the contract allows holds 3 KB. */
const MAX_STRUCTURE_BYTES = 65_536;

/**
 * Makes the decoder of one message type, for messages of at most `maxBytes`.
 *
 * The decoder throws an Error for bytes that are no such message. A message that is too large it returns as an error
 * instead, because grpc-js answers INTERNAL to all that a decoder throws.
 */
export function createDecoder(schema: DescMessage, maxBytes: number): (bytes: Buffer) => Decoded {
  const compiled = compileDecoder(schema);
  const tooLarge = new RequestTooLargeError(maxBytes);
  return (bytes) => {
    if (bytes.length > maxBytes) return tooLarge;
    if (bytes.length > MAX_STRUCTURE_BYTES && exceedsStructure(schema, bytes, MAX_STRUCTURE_BYTES)) return tooLarge;
    return compiled?.(bytes) ?? fromBinary(schema, bytes, DECODING);
  };
}

function createPlainEncoder(schema: DescMessage): Encode {
  const compiled = compileEncoder(schema);
  return (message) => compiled?.(message) ?? toBuffer(toBinary(schema, message));
}

function keeping(encode: Encode): Encode {
  const kept = new WeakMap<Message, Buffer>();
  return (message) => {
    const known = kept.get(message);
    if (known !== undefined) return known;
    const bytes = encode(message);
    if (Object.isFrozen(message)) kept.set(message, bytes);
    return bytes;
  };
}

/** Encodes a message whose only field is `field`: what is kept is the field's value, inside its wrapper. */
function wrapping(field: DescField & { message: DescMessage }, encode: Encode): Encode {
  const encodeValue = createPlainEncoder(field.message);
  const encodeWrapped = keeping((value) => {
    const writer = new BinaryWriter().tag(field.number, WireType.LengthDelimited);
    return toBuffer(writer.bytes(encodeValue(value)).finish());
  });
  return (message) => {
    const value = (message as Message & Record<string, Message | undefined>)[field.localName];
    return value === undefined || message.$unknown !== undefined ? encode(message) : encodeWrapped(value);
  };
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
