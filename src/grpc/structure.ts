import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/**
 * Whether a message has more than `maxBytes` besides its texts and bytes: tags, lengths, numbers. It is they that make
 * a message slow to decode, and a field that holds nothing takes two.
 *
 * @throws Error for some bytes that are no message.
 */
export function exceedsStructure(schema: DescMessage, bytes: Uint8Array, maxBytes: number): boolean {
  return structureOf(schema, new BinaryReader(bytes), bytes.length, maxBytes) > maxBytes;
}

/** Counts up to the end, or until it is more than `maxBytes`. */
function structureOf(schema: DescMessage, reader: BinaryReader, end: number, maxBytes: number): number {
  let structure = 0;
  while (reader.pos < end && structure <= maxBytes) {
    const start = reader.pos;
    const [number, wireType] = reader.tag();
    if (wireType !== WireType.LengthDelimited) {
      reader.skip(wireType, number);
      structure += reader.pos - start;
      continue;
    }
    const length = reader.uint32();
    structure += reader.pos - start;
    const nested = messageIn(schema.fields.find((field) => field.number === number));
    if (nested === undefined) reader.pos += length;
    else structure += structureOf(nested, reader, reader.pos + length, maxBytes - structure);
  }
  return structure;
}

/** The message type of a field that holds messages. Entries of maps count as texts: no request is large for them. */
function messageIn(field: DescField | undefined): DescMessage | undefined {
  return field?.fieldKind === "message" || field?.fieldKind === "list" ? field.message : undefined;
}
