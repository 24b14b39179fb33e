import { create, type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { FileDescriptorProtoSchema, StringValueSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { UserRole, UserSchema } from "../../src/gen/user/v1/user_pb.ts";
import { ChatMessageSchema, ListUsersRequestSchema } from "../../src/gen/user/v1/user_service_pb.ts";
import { compileDecoder } from "../../src/grpc/compiled-decoder.ts";
import { chooseSeed, Random } from "../support/random.ts";

function decode(schema: DescMessage, bytes: Uint8Array): Message | undefined {
  const decoder = compileDecoder(schema) ?? expect.fail(`${schema.typeName} was not compiled`);
  return decoder(Buffer.from(bytes));
}

function expectSame(schema: DescMessage, bytes: Uint8Array, hint?: string): void {
  expect(decode(schema, bytes), hint).toStrictEqual(fromBinary(schema, bytes));
}

/** Either declines, or makes what fromBinary makes. */
function expectNoOther(schema: DescMessage, bytes: Uint8Array, hint: string): boolean {
  const message = decode(schema, bytes);
  if (message !== undefined) expect(message, hint).toStrictEqual(fromBinary(schema, bytes));
  return message !== undefined;
}

describe("compileDecoder", () => {
  it.each([FileDescriptorProtoSchema, StringValueSchema])("does not compile %s", (schema) => {
    expect(compileDecoder(schema)).toBeUndefined();
  });
});

describe("a compiled decoder", () => {
  it("makes the messages that fromBinary makes", () => {
    const seed = chooseSeed();
    const random = new Random(seed);
    for (let count = 0; count < 2000; count++) {
      const hint = `SEED=${seed}, message ${count}`;
      expectSame(UserSchema, toBinary(UserSchema, randomUser(random)), hint);
      expectSame(ChatMessageSchema, toBinary(ChatMessageSchema, randomChatMessage(random)), hint);
    }
  });

  it("makes nothing else of damaged bytes", () => {
    const seed = chooseSeed();
    const random = new Random(seed);
    let made = 0;
    for (let count = 0; count < 5000; count++) {
      const bytes = toBinary(UserSchema, randomUser(random));
      if (bytes.length === 0) continue;
      for (let damage = random.between(1, 3); damage > 0; damage--) {
        bytes[random.between(0, bytes.length - 1)] = random.between(0, 255);
      }
      const end = random.next() < 0.3 ? random.between(0, bytes.length) : bytes.length;
      if (expectNoOther(UserSchema, bytes.subarray(0, end), `SEED=${seed}, message ${count}`)) made++;
    }
    expect(made).toBeGreaterThan(100);
  });

  it.each([UserSchema, ChatMessageSchema, TimestampSchema])("makes an empty message of no bytes: %s", (schema) => {
    expectSame(schema, new Uint8Array());
  });

  it.each([0n, 1n, 127n, 128n, 2n ** 31n, 2n ** 49n - 1n])("reads the number %d", (seconds) => {
    expectSame(TimestampSchema, toBinary(TimestampSchema, create(TimestampSchema, { seconds })));
  });

  it.each([0, 1])("reads the boolean %d", (value) => {
    expectSame(ListUsersRequestSchema, new Uint8Array([24, value]));
  });

  it("takes the last of a field that comes twice", () => {
    expectSame(ListUsersRequestSchema, new Uint8Array([8, 1, 8, 2]));
  });

  it("reads numbers that are longer than they need to be", () => {
    expectSame(ListUsersRequestSchema, new Uint8Array([8, 0x81, 0x80, 0]));
  });

  it.each<[string, DescMessage, Uint8Array]>([
    ["text beyond ASCII", UserSchema, toBinary(UserSchema, create(UserSchema, { name: "Zoë" }))],
    ["a negative number", TimestampSchema, toBinary(TimestampSchema, create(TimestampSchema, { nanos: -1 }))],
    [
      "a number of 50 bits",
      TimestampSchema,
      toBinary(TimestampSchema, create(TimestampSchema, { seconds: 2n ** 49n })),
    ],
    ["an unknown field", ListUsersRequestSchema, new Uint8Array([15 << 3, 1])],
    ["a field number above 15", ListUsersRequestSchema, new Uint8Array([0x80, 1, 1])],
    ["another wire type", ListUsersRequestSchema, new Uint8Array([(1 << 3) | WireType.LengthDelimited, 1, 1])],
    ["a nested message in two pieces", ChatMessageSchema, new Uint8Array([26, 2, 8, 1, 26, 2, 16, 1])],
    ["a list", UserSchema, toBinary(UserSchema, create(UserSchema, { tags: ["a"] }))],
    ["a map", UserSchema, toBinary(UserSchema, create(UserSchema, { metadata: { a: "b" } }))],
    ["a oneof", UserSchema, toBinary(UserSchema, create(UserSchema, { contact: { case: "phone", value: "1" } }))],
    ["a number that breaks off", ListUsersRequestSchema, new Uint8Array([8, 0x80])],
    ["a text that breaks off", ListUsersRequestSchema, new Uint8Array([18, 2, 65])],
    ["a nested message that breaks off", ChatMessageSchema, new Uint8Array([26, 4, 8, 1])],
    ["a nested number that goes on after its message", ChatMessageSchema, new Uint8Array([26, 2, 8, 0x80, 1])],
    ["a nested text of a length beyond its message", ChatMessageSchema, new Uint8Array([26, 1, 8, 1])],
  ])("leaves %s to the general decoder", (_, schema, bytes) => {
    expect(decode(schema, bytes)).toBeUndefined();
  });

  it("decodes the next message after one that it could not", () => {
    const decoder = compileDecoder(ListUsersRequestSchema) ?? expect.fail("no decoder");
    expect(decoder(Buffer.from([8, 0x80]))).toBeUndefined();
    expect(decoder(Buffer.from([8, 7]))).toStrictEqual(create(ListUsersRequestSchema, { pageSize: 7 }));
  });

  it("makes texts that do not share memory with the bytes", () => {
    const bytes = Buffer.from(new BinaryWriter().tag(2, WireType.LengthDelimited).string("page").finish());
    const message = compileDecoder(ListUsersRequestSchema)?.(bytes);
    bytes.fill(0);
    expect(message).toStrictEqual(create(ListUsersRequestSchema, { pageToken: "page" }));
  });
});

function randomText(random: Random): string {
  return "x".repeat(random.pick([0, 1, 36, 127, 128, 300]));
}

function randomTimestamp(random: Random) {
  const seconds = BigInt(Math.floor(random.next() * 2 ** random.between(0, 49)));
  return create(TimestampSchema, { seconds, nanos: random.pick([0, 1, 999_999_999, 2 ** 31 - 1]) });
}

function randomUser(random: Random) {
  const role = random.pick([UserRole.UNSPECIFIED, UserRole.ADMIN, 300 as UserRole]);
  const user = create(UserSchema, { id: randomText(random), email: randomText(random), name: "Ada", role });
  return random.next() < 0.5 ? user : { ...user, createdAt: randomTimestamp(random), age: random.between(0, 200) };
}

function randomChatMessage(random: Random) {
  const message = create(ChatMessageSchema, { userId: randomText(random), message: randomText(random) });
  return random.next() < 0.5 ? message : { ...message, timestamp: randomTimestamp(random) };
}
