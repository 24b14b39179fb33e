import {
  create,
  createFileRegistry,
  type DescMessage,
  type Message,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  Edition,
  type FieldDescriptorProtoSchema,
  FieldOptions_EditionDefaultSchema,
  FieldOptions_JSType,
  FileDescriptorProtoSchema,
  file_google_protobuf_wrappers,
  FieldDescriptorProto_Label as Label,
  TimestampSchema,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { UserRole, UserSchema } from "../../src/gen/user/v1/user_pb.ts";
import { ChatMessageSchema } from "../../src/gen/user/v1/user_service_pb.ts";
import { compileEncoder } from "../../src/grpc/compiled-encoder.ts";
import { chooseSeed, Random } from "../support/random.ts";

type Field = MessageInitShape<typeof FieldDescriptorProtoSchema>;
type MadeFile = MessageInitShape<typeof FileDescriptorProtoSchema>;

/** A message type made at run time, which can refer to itself as `.made.Made` and to `.made.Pair`. */
function typeWith(fields: Field[], file: MadeFile = { syntax: "proto3" }): DescMessage {
  const registry = createFileRegistry(
    create(FileDescriptorProtoSchema, {
      name: "made.proto",
      package: "made",
      dependency: [file_google_protobuf_wrappers.proto.name],
      messageType: [
        {
          name: "Made",
          field: fields.map((field) => ({ label: Label.OPTIONAL, ...field })),
          oneofDecl: fields.some((field) => field.oneofIndex !== undefined) ? [{ name: "_choice" }] : [],
          nestedType: [
            {
              name: "TagsEntry",
              field: [
                { name: "key", number: 1, type: Type.STRING, label: Label.OPTIONAL },
                { name: "value", number: 2, type: Type.STRING, label: Label.OPTIONAL },
              ],
              options: { mapEntry: true },
            },
          ],
        },
        { name: "Pair", field: [{ name: "made", number: 1, type: Type.MESSAGE, typeName: ".made.Made" }] },
      ],
      enumType: [
        {
          name: "Choice",
          value: [
            { name: "NONE", number: 0 },
            { name: "ONE", number: 1 },
          ],
        },
      ],
      ...file,
    }),
    (name) => (name === file_google_protobuf_wrappers.proto.name ? file_google_protobuf_wrappers : undefined),
  );
  return registry.getMessage("made.Made") ?? expect.fail("no type was made");
}

/** A message of a type made at run time. */
function made(schema: DescMessage, fields: Record<string, unknown> = {}): Message {
  return Object.assign(create(schema), fields);
}

/** The message as the compiled encoder writes it, which must exist for its type. */
function encode(schema: DescMessage, message: Message): Uint8Array | undefined {
  const encoder = compileEncoder(schema) ?? expect.fail(`${schema.typeName} was not compiled`);
  const bytes = encoder(message);
  return bytes && new Uint8Array(bytes);
}

function expectSame(schema: DescMessage, message: Message, hint?: string): void {
  expect(encode(schema, message), hint).toEqual(toBinary(schema, message));
}

/** Either declines, or writes what toBinary writes. */
function expectNoOther(schema: DescMessage, message: Message): void {
  const bytes = compileEncoder(schema)?.(message);
  if (bytes !== undefined) expect(new Uint8Array(bytes)).toEqual(toBinary(schema, message));
}

const NUMBER: Field = { name: "number", number: 1, type: Type.INT32 };

describe("compileEncoder", () => {
  it.each<[string, Field]>([
    ["strings", { name: "text", number: 15, type: Type.STRING }],
    ["int32", NUMBER],
    ["uint32", { ...NUMBER, type: Type.UINT32 }],
    ["int64", { ...NUMBER, type: Type.INT64 }],
    ["uint64", { ...NUMBER, type: Type.UINT64 }],
    ["booleans", { ...NUMBER, type: Type.BOOL }],
    ["enums", { ...NUMBER, type: Type.ENUM, typeName: ".made.Choice" }],
  ])("knows %s", (_, field) => {
    expect(compileEncoder(typeWith([field]))).toBeDefined();
  });

  it.each<[string, Field]>([
    ["bytes", { ...NUMBER, type: Type.BYTES }],
    ["sint32", { ...NUMBER, type: Type.SINT32 }],
    ["sint64", { ...NUMBER, type: Type.SINT64 }],
    ["fixed32", { ...NUMBER, type: Type.FIXED32 }],
    ["sfixed64", { ...NUMBER, type: Type.SFIXED64 }],
    ["float", { ...NUMBER, type: Type.FLOAT }],
    ["double", { ...NUMBER, type: Type.DOUBLE }],
    ["a field number above 15", { ...NUMBER, number: 16 }],
  ])("compiles no type with %s, beside fields that it knows", (_, field) => {
    expect(compileEncoder(typeWith([{ name: "known", number: 2, type: Type.STRING }, field]))).toBeUndefined();
  });

  it("compiles no type that is not proto3", () => {
    expect(compileEncoder(FileDescriptorProtoSchema)).toBeUndefined();
  });
});

describe("a compiled encoder", () => {
  it("writes the bytes that toBinary writes", () => {
    const seed = chooseSeed();
    const random = new Random(seed);
    for (let count = 0; count < 2000; count++) {
      const hint = `SEED=${seed}, message ${count}`;
      expectSame(TimestampSchema, randomTimestamp(random), hint);
      expectSame(UserSchema, randomUser(random), hint);
      expectSame(ChatMessageSchema, randomChatMessage(random), hint);
    }
  });

  it.each([UserSchema, ChatMessageSchema, TimestampSchema])("writes nothing for an empty message: %s", (schema) => {
    expect(encode(schema, create(schema))).toEqual(new Uint8Array());
  });

  it.each<[string, Field, unknown]>([
    ["a list", { ...NUMBER, label: Label.REPEATED }, [1]],
    [
      "a map",
      { name: "tags", number: 1, type: Type.MESSAGE, typeName: ".made.Made.TagsEntry", label: Label.REPEATED },
      { a: "b" },
    ],
    ["a oneof", { ...NUMBER, oneofIndex: 0 }, { case: "number", value: 0 }],
    [
      "a message of its own type",
      { name: "made", number: 1, type: Type.MESSAGE, typeName: ".made.Made" },
      { $typeName: "made.Made" },
    ],
  ])("writes messages with %s that is empty, and leaves the others to the general encoder", (_, field, value) => {
    const schema = typeWith([{ name: "known", number: 2, type: Type.STRING }, field]);
    expectSame(schema, made(schema, { known: "text" }));
    const name = schema.oneofs[0]?.localName ?? field.name ?? "";
    expect(encode(schema, made(schema, { known: "text", [name]: value }))).toBeUndefined();
  });

  it("writes an empty nested message", () => {
    expectSame(UserSchema, create(UserSchema, { createdAt: {} }));
  });

  it("writes messages that share no memory with the next one", () => {
    const encoder = compileEncoder(UserSchema) ?? expect.fail("no encoder");
    const first = encoder(create(UserSchema, { id: "first" }));
    encoder(create(UserSchema, { id: "other" }));
    expect(first?.toString()).toContain("first");
  });

  // 42 units of UTF-16 are the most whose length surely takes one byte.
  it.each([1, 41, 42, 43, 127, 128, 5000])("writes texts of %d characters, of one to four bytes each", (length) => {
    for (const character of ["a", "ä", "€", "👩"]) {
      const message = create(ChatMessageSchema, { userId: character, message: character.repeat(length) });
      if (message.message.length <= 5000) expectSame(ChatMessageSchema, message);
    }
  });

  it.each(["\ud800", "\udc00", "a\ud83d", "\udc69\ud83d", "\ud800".repeat(100)])(
    "writes lone surrogates as toBinary does: %j",
    (text) => {
      expectSame(ChatMessageSchema, create(ChatMessageSchema, { userId: text, message: text }));
    },
  );

  it.each([1n, 127n, 128n, 2n ** 31n, 2n ** 32n, 2n ** 53n - 1n])("writes the number %d", (seconds) => {
    expectSame(TimestampSchema, create(TimestampSchema, { seconds }));
  });

  it("writes fields that can be absent, though they are zero, when they are present", () => {
    const fields: [Field, unknown][] = [
      [{ ...NUMBER, type: Type.STRING }, ""],
      [{ ...NUMBER, type: Type.INT32 }, 0],
      [{ ...NUMBER, type: Type.UINT64 }, 0n],
      [{ ...NUMBER, type: Type.BOOL }, false],
      [{ ...NUMBER, type: Type.ENUM, typeName: ".made.Choice" }, 0],
    ];
    for (const [field, zero] of fields) {
      const schema = typeWith([{ ...field, oneofIndex: 0, proto3Optional: true }]);
      expect(encode(schema, made(schema, { number: zero }))).toEqual(
        new Uint8Array([field.type === Type.STRING ? 10 : 8, 0]),
      );
      expect(encode(schema, made(schema))).toEqual(new Uint8Array());
    }
  });

  it("leaves out fields that are zero when they cannot be absent", () => {
    const schema = typeWith([NUMBER, { name: "flag", number: 2, type: Type.BOOL }]);
    expect(encode(schema, made(schema, { number: 0, flag: false }))).toEqual(new Uint8Array());
    expectSame(schema, made(schema, { number: 7, flag: true }));
  });

  it.each<[string, Message]>([
    ["a negative int32", create(UserSchema, { createdAt: { nanos: -1 } })],
    ["a negative int64", create(UserSchema, { createdAt: { seconds: -1n } })],
    ["a negative enum", create(UserSchema, { role: -1 as UserRole })],
    ["a number above 2 ** 53", create(UserSchema, { createdAt: { seconds: 2n ** 53n } })],
    ["an unknown field", { ...create(UserSchema), $unknown: [{ no: 99, wireType: 0, data: new Uint8Array([1]) }] }],
    [
      "an unknown field in a nested message",
      create(UserSchema, {
        createdAt: { ...create(TimestampSchema), $unknown: [{ no: 99, wireType: 0, data: new Uint8Array([1]) }] },
      }),
    ],
    ["a text beyond its space", create(UserSchema, { id: "x".repeat(16_384) })],
    [
      "texts that are too long together",
      create(UserSchema, { id: "x".repeat(5000), name: "ä".repeat(5000), email: "y".repeat(5000) }),
    ],
  ])("leaves %s to the general encoder", (_, message) => {
    expect(encode(UserSchema, message)).toBeUndefined();
  });

  it("leaves numbers beyond its space, after a text that just fits, to the general encoder", () => {
    const numbers = Array.from({ length: 14 }, (_, index) => `n${index}`);
    const schema = typeWith([
      { name: "text", number: 1, type: Type.STRING },
      ...numbers.map((name, index) => ({ name, number: index + 2, type: Type.UINT64 })),
    ]);
    const text = "€".repeat(5440);
    expectSame(schema, made(schema, { text }));
    const largest = Object.fromEntries(numbers.map((name) => [name, 2n ** 53n - 1n]));
    expect(encode(schema, made(schema, { text, ...largest }))).toBeUndefined();
  });

  it("leaves long nested messages to the general encoder", () => {
    const file: MadeFile = {
      syntax: "proto3",
      messageType: [
        {
          name: "Made",
          field: [{ name: "text", number: 1, type: Type.MESSAGE, typeName: ".made.Text", label: Label.OPTIONAL }],
        },
        { name: "Text", field: [{ name: "text", number: 1, type: Type.STRING, label: Label.OPTIONAL }] },
      ],
    };
    const schema = typeWith([], file);
    const wrap = (length: number) => made(schema, { text: { text: "x".repeat(length) } });
    expect(encode(schema, wrap(125))).toHaveLength(129);
    expect(encode(schema, wrap(126))).toBeUndefined();
  });

  it("encodes the next message after one that it could not", () => {
    const encoder = compileEncoder(ChatMessageSchema) ?? expect.fail("no encoder");
    expect(encoder(create(ChatMessageSchema, { userId: "ada", timestamp: { nanos: -1 } }))).toBeUndefined();
    expectSame(ChatMessageSchema, create(ChatMessageSchema, { userId: "ada", timestamp: { nanos: 1 } }));
  });
});

// Types that the service does not have, for which the compiled encoder writes other bytes than toBinary.
describe("a compiled encoder and types it does not know", () => {
  it("leaves out fields of proto2 that are absent", () => {
    const schema = FieldOptions_EditionDefaultSchema;
    expectNoOther(schema, create(schema));
  });

  it("orders fields by number", () => {
    const schema = typeWith([{ name: "second", number: 2, type: Type.INT32 }, NUMBER]);
    expectNoOther(schema, made(schema, { second: 2, number: 1 }));
  });

  it("writes wrapped scalars", () => {
    const typeName = ".google.protobuf.StringValue";
    const schema = typeWith([{ name: "wrapped", number: 1, type: Type.MESSAGE, typeName }]);
    expectNoOther(schema, made(schema, { wrapped: "text" }));
  });

  it("leaves out a zero that is written as a string", () => {
    const schema = typeWith([{ ...NUMBER, type: Type.INT64, options: { jstype: FieldOptions_JSType.JS_STRING } }]);
    expectNoOther(schema, made(schema));
  });

  it("writes groups", () => {
    const file: MadeFile = {
      syntax: "editions",
      edition: Edition.EDITION_2023,
      messageType: [
        {
          name: "Made",
          field: [
            {
              name: "inner",
              number: 1,
              type: Type.MESSAGE,
              typeName: ".made.Inner",
              label: Label.OPTIONAL,
              options: { features: { messageEncoding: 2 } },
            },
          ],
        },
        { name: "Inner" },
      ],
    };
    const schema = typeWith([], file);
    expectNoOther(schema, made(schema, { inner: { $typeName: "made.Inner" } }));
  });

  it("leaves numbers that do not fit to toBinary, which throws", () => {
    expect(encode(TimestampSchema, create(TimestampSchema, { nanos: 2 ** 31 }))).toBeUndefined();
  });
});

function randomTimestamp(random: Random) {
  const seconds = BigInt(Math.floor(random.next() * 2 ** random.between(0, 53)));
  return create(TimestampSchema, { seconds, nanos: random.pick([0, 1, random.between(0, 999_999_999), 2 ** 31 - 1]) });
}

function randomUser(random: Random) {
  const user = create(UserSchema, {
    id: randomText(random),
    email: randomText(random),
    name: randomText(random),
    role: random.pick([UserRole.UNSPECIFIED, UserRole.USER, UserRole.ADMIN, 300 as UserRole]),
  });
  return random.next() < 0.5 ? user : { ...user, createdAt: randomTimestamp(random) };
}

function randomChatMessage(random: Random) {
  const message = create(ChatMessageSchema, { userId: randomText(random), message: randomText(random) });
  return random.next() < 0.5 ? message : { ...message, timestamp: randomTimestamp(random) };
}

/** Up to 200 characters, of one to four bytes, some of them surrogates without the other half. */
function randomText(random: Random): string {
  const length = random.pick([0, 1, random.between(0, 45), random.between(0, 200)]);
  const pick = () => random.pick(["a", "\u0000", "ä", "€", "👩", "\ud83d", "\udc69"]);
  return Array.from({ length }, pick).join("");
}
