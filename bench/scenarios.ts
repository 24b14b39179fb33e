/** What is measured: the calls, and what a right answer to each of them is. */
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { DescMethod } from "@bufbuild/protobuf";
import { UserSchema } from "../src/gen/user/v1/user_pb.ts";
import {
  ChatMessageSchema,
  CreateUserRequestSchema,
  CreateUsersResponseSchema,
  GetUserRequestSchema,
  GetUserResponseSchema,
  ListUsersRequestSchema,
  UserService,
} from "../src/gen/user/v1/user_service_pb.ts";
import { pack, unpack } from "./frames.ts";
import type { StampPlaces } from "./stamp.ts";

/** Users that every server holds before it is measured, users per page, and messages per stream. */
const COUNT = 1000;

/** A call: its request, and the test of its answer. */
export interface Exchange {
  readonly body: Buffer;
  /** Where the body takes the number of the call, if no two calls may be the same. */
  readonly places?: StampPlaces;
  /** @throws AssertionError unless the answer is right and complete. */
  check(answer: Buffer): void;
}

/** One line of the table. */
export interface Scenario {
  /** What `--only` calls it. */
  readonly name: string;
  readonly title: string;
  readonly method: DescMethod;
  /** Calls that each connection has open at a time. */
  readonly streams: number;
  /** The call to measure, on a server that holds users with these ids. */
  exchange(ids: readonly string[]): Exchange;
}

/** Every scenario, in the order of the table. */
export const SCENARIOS: readonly Scenario[] = [
  { name: "GetUser", title: "GetUser", method: UserService.method.getUser, streams: 25, exchange: getUser },
  {
    name: "ListUsers",
    title: `ListUsers ${COUNT}`,
    method: UserService.method.listUsers,
    streams: 5,
    exchange: listUsers,
  },
  {
    name: "CreateUsers",
    title: `CreateUsers ${COUNT}`,
    method: UserService.method.createUsers,
    streams: 2,
    exchange: () => createUsers("user"),
  },
  { name: "Chat", title: `Chat ${COUNT}`, method: UserService.method.chat, streams: 5, exchange: chat },
];

/** The call that fills a server, and the ids that its answer holds. */
export const SEED = {
  method: UserService.method.createUsers,
  ...createUsers("seed"),
  ids: (answer: Buffer): string[] => unpack(CreateUsersResponseSchema, answer).flatMap(({ userIds }) => userIds),
};

function getUser(ids: readonly string[]): Exchange {
  const id = ids[COUNT / 2] ?? "";
  return {
    body: pack(GetUserRequestSchema, [{ id }]),
    check: (answer) =>
      deepStrictEqual(
        unpack(GetUserResponseSchema, answer).map(({ user }) => user?.id),
        [id],
      ),
  };
}

function listUsers(ids: readonly string[]): Exchange {
  return {
    body: pack(ListUsersRequestSchema, [{ pageSize: COUNT }]),
    check: (answer) =>
      deepStrictEqual(
        unpack(UserSchema, answer).map(({ id }) => id),
        ids,
      ),
  };
}

/** Every e-mail address holds the number of the call and that of the message, so that all of a run are different. */
function createUsers(prefix: string): Exchange {
  const call = "00000000";
  const body = pack(
    CreateUserRequestSchema,
    numbers().map((number) => ({ email: `${prefix}-${call}-${number}@example.com`, name: `User ${number}` })),
  );
  return {
    body,
    places: { offset: body.indexOf(call), stride: body.length / COUNT, width: call.length },
    check: (answer) => {
      const [response, ...others] = unpack(CreateUsersResponseSchema, answer);
      strictEqual(others.length, 0);
      strictEqual(response?.createdCount, COUNT);
      strictEqual(new Set(response.userIds).size, COUNT);
    },
  };
}

function chat(): Exchange {
  const timestamp = { seconds: 1_700_000_000n, nanos: 123_000_000 };
  const texts = numbers().map((number) => `Hello, this is message ${number}.`);
  const body = pack(
    ChatMessageSchema,
    texts.map((message) => ({ userId: "bench", message, timestamp })),
  );
  const answers = pack(
    ChatMessageSchema,
    texts.map((message) => ({ userId: "server", message: `Echo: ${message}`, timestamp })),
  );
  return {
    body,
    check: (answer) => deepStrictEqual(unpack(ChatMessageSchema, answer), unpack(ChatMessageSchema, answers)),
  };
}

/** As many different numbers as messages, all of the same width. */
function numbers(): string[] {
  return Array.from({ length: COUNT }, (_, index) => String(index).padStart(3, "0"));
}
