import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { type User, type UserRole, UserSchema } from "../../src/gen/user/v1/user_pb.ts";
import {
  ChatMessageSchema,
  CreateUsersResponseSchema,
  GetUserResponseSchema,
  ListUsersRequestSchema,
} from "../../src/gen/user/v1/user_service_pb.ts";
import { createEncoder } from "../../src/grpc/encoding.ts";
import { FULL } from "../support/full.ts";
import { Random } from "../support/random.ts";

const STORED: ReadonlySet<DescMessage> = new Set([UserSchema]);

const encodeUser = createEncoder(UserSchema, STORED);
const encodeResponse = createEncoder(GetUserResponseSchema, STORED);

const ROUNDS = FULL ? 2000 : 60;

const LETTERS = ["a", "é", "用", "😀", "\u0000"] as const;
/** Around the lengths at which a length takes one more byte. */
const LENGTHS = [0, 1, 10, 60, 127, 128, 129, 16_383, 16_384, 70_000] as const;

function randomText(random: Random): string {
  return random.pick(LETTERS).repeat(random.pick(LENGTHS));
}

function randomUser(random: Random): MessageInitShape<typeof UserSchema> {
  return {
    id: randomText(random),
    email: randomText(random),
    name: randomText(random),
    ...(random.next() < 0.5 && { createdAt: timestampFromMs(random.between(-1e9, 1e12)) }),
    role: random.between(0, 3) as UserRole,
  };
}

/** Sometimes fields that this version of the contract does not know. */
function withUnknown<T extends { $unknown?: unknown }>(random: Random, message: T): T {
  if (random.next() < 0.3) message.$unknown = [{ no: 1000, wireType: 0, data: Uint8Array.of(random.between(0, 127)) }];
  return message;
}

const SAMPLES: readonly [DescMessage, (random: Random) => MessageShape<DescMessage>][] = [
  [UserSchema, (random) => withUnknown(random, create(UserSchema, randomUser(random)))],
  [
    GetUserResponseSchema,
    (random) => {
      const user = random.next() < 0.8 ? withUnknown(random, create(UserSchema, randomUser(random))) : undefined;
      return withUnknown(random, create(GetUserResponseSchema, user && { user }));
    },
  ],
  [
    ListUsersRequestSchema,
    (random) =>
      create(ListUsersRequestSchema, { pageSize: random.between(-1000, 1000), pageToken: randomText(random) }),
  ],
  [
    ChatMessageSchema,
    (random) =>
      withUnknown(
        random,
        create(ChatMessageSchema, { message: randomText(random), timestamp: timestampFromMs(random.between(0, 1e12)) }),
      ),
  ],
  [
    CreateUsersResponseSchema,
    (random) => create(CreateUsersResponseSchema, { userIds: [randomText(random)], createdCount: 1 }),
  ],
];

function frozenUser(init: MessageInitShape<typeof UserSchema> = { id: "1", name: "Ada" }): User {
  return Object.freeze(create(UserSchema, init));
}

describe("createEncoder", () => {
  it.each(SAMPLES)("encodes %s as protobuf-es does", (schema, sample) => {
    const random = new Random(1);
    const encode = createEncoder(schema, STORED);
    for (let round = 0; round < ROUNDS; round++) {
      const message = sample(random);
      const expected = Buffer.from(toBinary(schema, message));
      const encoded = [encode(message), encode(Object.freeze(message))];
      const isRight = encoded.map((bytes) => Buffer.isBuffer(bytes) && bytes.equals(expected));
      expect(isRight, `round ${round}`).toEqual([true, true]);
    }
  });

  it.each([0, 100, 127, 128, 129, 16_383, 16_384, 2_097_151, 2_097_152])("frames a user of %i bytes", (length) => {
    const user = frozenUser({ name: "n".repeat(Math.max(0, length - overhead(length))) });
    expect(encodeUser(user)).toHaveLength(length);
    for (let time = 0; time < 2; time++) {
      const bytes = encodeResponse(create(GetUserResponseSchema, { user }));
      expect(bytes.equals(toBinary(GetUserResponseSchema, create(GetUserResponseSchema, { user })))).toBe(true);
    }
  });

  it("keeps the fields that this version does not know, around a stored message and in it", () => {
    const user = create(UserSchema, { id: "1" });
    user.$unknown = [{ no: 1000, wireType: 0, data: Uint8Array.of(7) }];
    const response = create(GetUserResponseSchema, { user: Object.freeze(user) });
    response.$unknown = [{ no: 1001, wireType: 0, data: Uint8Array.of(8) }];
    encodeUser(user);
    const decoded = fromBinary(GetUserResponseSchema, encodeResponse(response));
    expect(decoded.$unknown).toMatchObject([{ no: 1001, data: Buffer.from([8]) }]);
    expect(decoded.user?.$unknown).toMatchObject([{ no: 1000, data: Buffer.from([7]) }]);
  });

  it("encodes a wrapper that is empty to nothing", () => {
    expect(encodeResponse(create(GetUserResponseSchema))).toHaveLength(0);
  });
});

describe("a frozen message of a stored type", () => {
  it("is encoded once", () => {
    const user = frozenUser();
    expect(encodeUser(user)).toBe(encodeUser(user));
  });

  it("is encoded once however often it is wrapped", () => {
    const user = frozenUser();
    const bytes = encodeResponse(create(GetUserResponseSchema, { user }));
    expect(encodeResponse(create(GetUserResponseSchema, { user }))).toBe(bytes);
  });

  it("keeps its bytes for itself", () => {
    const [one, other] = [frozenUser(), frozenUser()];
    expect(encodeUser(one)).not.toBe(encodeUser(other));
    expect(encodeUser(one)).toEqual(encodeUser(other));
  });
});

describe("any other message", () => {
  it("is encoded anew each time if it is not frozen", () => {
    const user = create(UserSchema, { id: "1", name: "Ada" });
    const before = encodeUser(user);
    user.name = "Bob";
    expect(fromBinary(UserSchema, encodeUser(user)).name).toBe("Bob");
    expect(fromBinary(UserSchema, before).name).toBe("Ada");
  });

  it("is encoded anew each time if it is not frozen inside a wrapper, though the wrapper is", () => {
    const user = create(UserSchema, { id: "1", name: "Ada" });
    const response = Object.freeze(create(GetUserResponseSchema, { user }));
    encodeResponse(response);
    user.name = "Bob";
    expect(fromBinary(GetUserResponseSchema, encodeResponse(response)).user?.name).toBe("Bob");
  });

  it("is encoded with the user that it wraps now", () => {
    const response = create(GetUserResponseSchema, { user: frozenUser({ name: "Ada" }) });
    encodeResponse(response);
    response.user = frozenUser({ name: "Bob" });
    expect(fromBinary(GetUserResponseSchema, encodeResponse(response)).user?.name).toBe("Bob");
  });

  it("is encoded anew each time if its type is not stored", () => {
    const encode = createEncoder(ListUsersRequestSchema, STORED);
    const request = Object.freeze(create(ListUsersRequestSchema, { pageSize: 5 }));
    expect(encode(request)).not.toBe(encode(request));
    const plain = createEncoder(UserSchema, new Set());
    const user = frozenUser();
    expect(plain(user)).not.toBe(plain(user));
  });
});

/** How many bytes the tag and the length of a name take, in a user of `length` bytes. */
function overhead(length: number): number {
  if (length <= 129) return 2;
  return length <= 16_386 ? 3 : 4;
}
