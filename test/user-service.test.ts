import { type Timestamp, timestampDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { type User, UserRole } from "../src/gen/user/v1/user_pb.ts";
import type { ListUsersRequest, UserService } from "../src/gen/user/v1/user_service_pb.ts";
import { failureOf } from "./support/errors.ts";
import { collect, newUsers, startTestServer, streamOf, userClient } from "./support/server.ts";

type UserClient = Client<typeof UserService>;

/** One page, and the token of the next. */
async function listPage(
  client: UserClient,
  request: Partial<Pick<ListUsersRequest, "pageSize" | "pageToken">>,
): Promise<{ users: User[]; next: string | null }> {
  let next: string | null = null;
  const users = await collect(
    client.listUsers(request, {
      onTrailer(trailer) {
        next = trailer.get("x-next-page-token");
      },
    }),
  );
  return { users, next };
}

async function startClient(environment: Record<string, string> = {}): Promise<UserClient> {
  return userClient(await startTestServer({ environment }));
}

describe("GetUser", () => {
  it("gets a user as it was created", async () => {
    const client = await startClient();
    const before = Date.now();
    const { userIds } = await client.createUsers(streamOf({ email: " Ada@Example.com", name: "Ada  Lovelace " }));
    const { user } = await client.getUser({ id: userIds[0] ?? "" });

    expect(user).toMatchObject({
      id: userIds[0],
      email: " Ada@Example.com",
      name: "Ada  Lovelace ",
      role: UserRole.USER,
    });
    const createdAt = timestampDate(user?.createdAt as Timestamp).getTime();
    expect(createdAt).toBeGreaterThanOrEqual(before);
    expect(createdAt).toBeLessThanOrEqual(Date.now());
  });

  it("fails with NOT_FOUND for an unknown id of any form", async () => {
    const client = await startClient();
    for (const id of ["x", "no uuid ☃", "a".repeat(128)]) {
      expect(await failureOf(client.getUser({ id }))).toMatchObject({
        code: "NotFound",
        message: "no such user",
        reason: "USER_NOT_FOUND",
        domain: "user.v1",
        resource: `user.v1.User/${id}`,
      });
    }
  });

  it("fails with INVALID_ARGUMENT for an empty id and for one above 128 bytes", async () => {
    const client = await startClient();
    expect(await failureOf(client.getUser({ id: "" }))).toMatchObject({
      code: "InvalidArgument",
      message: "invalid request: id must be at least 1 bytes",
      reason: "INVALID_REQUEST",
      domain: "user.v1",
      violations: ["id: STRING_MIN_BYTES"],
    });
    expect(await failureOf(client.getUser({ id: "é".repeat(65) }))).toMatchObject({
      code: "InvalidArgument",
      violations: ["id: STRING_MAX_BYTES"],
    });
  });
});

describe("ListUsers", () => {
  it("streams pages, oldest first, and ends without a token", async () => {
    const client = await startClient();
    const { userIds } = await client.createUsers(streamOf(...newUsers(25)));

    const first = await listPage(client, { pageSize: 12 });
    const second = await listPage(client, { pageSize: 12, pageToken: first.next ?? "" });
    const third = await listPage(client, { pageSize: 12, pageToken: second.next ?? "" });
    const ids = [first, second, third].flatMap(({ users }) => users.map(({ id }) => id));
    expect(ids).toEqual(userIds);
    expect(third.next).toBeNull();
  });

  it("sends no token when the page ends with the last user", async () => {
    const client = await startClient();
    await client.createUsers(streamOf(...newUsers(5)));
    expect((await listPage(client, { pageSize: 5 })).next).toBeNull();
  });

  it("streams nothing when there are no users", async () => {
    expect(await listPage(await startClient(), {})).toEqual({ users: [], next: null });
  });

  it("reads page size 0 as 10, and above 1000 as 1000", async () => {
    const client = await startClient();
    await client.createUsers(streamOf(...newUsers(1001)));
    expect((await listPage(client, {})).users).toHaveLength(10);
    expect((await listPage(client, { pageSize: 2_000_000_000 })).users).toHaveLength(1000);
  });

  it("fails with INVALID_ARGUMENT for a negative page size", async () => {
    const client = await startClient();
    expect(await failureOf(listPage(client, { pageSize: -1 }))).toMatchObject({
      code: "InvalidArgument",
      message: "invalid request: page_size must be greater than or equal to 0",
      reason: "INVALID_REQUEST",
      violations: ["page_size: INT32_GTE"],
    });
  });

  it("fails with INVALID_ARGUMENT for a forged token and for one of another service", async () => {
    const client = await startClient();
    const other = await startClient();
    for (const each of [client, other]) await each.createUsers(streamOf(...newUsers(2)));
    const foreign = (await listPage(other, { pageSize: 1 })).next ?? "";
    for (const pageToken of ["forged", foreign]) {
      expect(await failureOf(listPage(client, { pageToken }))).toMatchObject({
        code: "InvalidArgument",
        message: "invalid request: page_token must be a token that came with an earlier page of this service",
        violations: ["page_token: PAGE_TOKEN_INVALID"],
      });
    }
  });

  it("reads the tokens of a replica with the same key", async () => {
    const environment = { PAGE_TOKEN_KEY: "the page token key of two replicas" };
    const [client, replica] = [await startClient(environment), await startClient(environment)];
    for (const each of [client, replica]) await each.createUsers(streamOf(...newUsers(2)));
    const { next } = await listPage(client, { pageSize: 1 });
    await expect(listPage(replica, { pageToken: next ?? "" })).resolves.toMatchObject({ next: null });
  });

  it("neither repeats nor skips a user when others are created between two pages", async () => {
    const client = await startClient();
    const early = await client.createUsers(streamOf(...newUsers(4, "early")));
    const first = await listPage(client, { pageSize: 2 });
    const late = await client.createUsers(streamOf(...newUsers(2, "late")));
    const second = await listPage(client, { pageSize: 10, pageToken: first.next ?? "" });
    const ids = [...first.users, ...second.users].map(({ id }) => id);
    expect(ids).toEqual([...early.userIds, ...late.userIds]);
  });
});

describe("CreateUsers", () => {
  it("creates all users of the stream, in its order", async () => {
    const client = await startClient();
    const { userIds, createdCount } = await client.createUsers(streamOf(...newUsers(100)));
    expect(createdCount).toBe(100);
    expect(userIds.toSorted()).toEqual(userIds);
    const { users } = await listPage(client, { pageSize: 100 });
    expect(users.map(({ email }) => email)).toEqual(newUsers(100).map(({ email }) => email));
  });

  it("fails with INVALID_ARGUMENT when the stream holds no message", async () => {
    expect(await failureOf((await startClient()).createUsers(streamOf()))).toMatchObject({
      code: "InvalidArgument",
      message: "invalid request: messages must hold at least one message",
      violations: ["messages: STREAM_EMPTY"],
    });
  });

  it("names the message and every field that breaks a rule, and creates nothing", async () => {
    const client = await startClient();
    const users = newUsers(10);
    users[6] = { email: "", name: "" };
    expect(await failureOf(client.createUsers(streamOf(...users)))).toMatchObject({
      code: "InvalidArgument",
      violations: ["messages[6].email: STRING_MIN_BYTES", "messages[6].name: STRING_MIN_BYTES"],
    });
    expect((await listPage(client, {})).users).toEqual([]);
  });

  it("fails with INVALID_ARGUMENT for a bad e-mail address in message 7, and creates nothing", async () => {
    const client = await startClient();
    const users = newUsers(10);
    users[6] = { email: "not an address", name: " " };
    expect(await failureOf(client.createUsers(streamOf(...users)))).toMatchObject({
      code: "InvalidArgument",
      message:
        "invalid request: messages[6].email must be an e-mail address; messages[6].name must not be only white space",
      reason: "INVALID_REQUEST",
      violations: ["messages[6].email: EMAIL_INVALID", "messages[6].name: NAME_BLANK"],
    });
    expect((await listPage(client, {})).users).toEqual([]);
  });

  it("names what breaks a rule of length or range before anything else", async () => {
    const call = (await startClient()).createUsers(streamOf({ email: "not an address", name: "x".repeat(513) }));
    expect(await failureOf(call)).toMatchObject({ violations: ["messages[0].name: STRING_MAX_BYTES"] });
  });

  it("fails with ALREADY_EXISTS when an address is taken, however it is written, and creates nothing", async () => {
    const client = await startClient();
    await client.createUsers(streamOf({ email: "ada@example.com", name: "Ada" }));
    const users = [...newUsers(3), { email: " ADA@EXAMPLE.com ", name: "Ada" }];
    expect(await failureOf(client.createUsers(streamOf(...users)))).toMatchObject({
      code: "AlreadyExists",
      message: "messages[3].email: the e-mail address is taken",
      reason: "EMAIL_TAKEN",
      facts: { field: "messages[3].email" },
      resource: "user.v1.User/",
    });
    expect((await listPage(client, {})).users).toHaveLength(1);
  });

  it("fails with ALREADY_EXISTS when an address occurs twice in the stream", async () => {
    const client = await startClient();
    const users = [...newUsers(3), ...newUsers(1)];
    expect(await failureOf(client.createUsers(streamOf(...users)))).toMatchObject({
      code: "AlreadyExists",
      facts: { field: "messages[3].email" },
    });
    expect((await listPage(client, {})).users).toEqual([]);
  });

  it("fails with RESOURCE_EXHAUSTED at the first message beyond 10 000, and creates nothing", async () => {
    const client = await startClient();
    expect(await failureOf(client.createUsers(streamOf(...newUsers(10_001))))).toMatchObject({
      code: "ResourceExhausted",
      message: "too many users in one call: at most 10000 are allowed",
      reason: "TOO_MANY_USERS",
      facts: { limit: "10000" },
    });
    expect((await listPage(client, {})).users).toEqual([]);
  });

  it("creates as many as the operator allows", async () => {
    const client = await startClient({ MAX_USERS_PER_CALL: "3" });
    expect((await client.createUsers(streamOf(...newUsers(3)))).createdCount).toBe(3);
    expect(await failureOf(client.createUsers(streamOf(...newUsers(4, "more"))))).toMatchObject({
      code: "ResourceExhausted",
      facts: { limit: "3" },
    });
  });

  it("creates the users when their number is the expected one, and fails with DATA_LOSS otherwise", async () => {
    const client = await startClient();
    for (const expected of ["2", "4"]) {
      const call = client.createUsers(streamOf(...newUsers(3)), { headers: { "x-expected-count": expected } });
      expect(await failureOf(call)).toMatchObject({
        code: "DataLoss",
        message: `x-expected-count announced ${expected} messages, 3 arrived`,
        reason: "STREAM_INCOMPLETE",
      });
    }
    expect((await listPage(client, {})).users).toEqual([]);
    await client.createUsers(streamOf(...newUsers(3)), { headers: { "x-expected-count": "3" } });
    expect((await listPage(client, {})).users).toHaveLength(3);
  });

  it("fails with INVALID_ARGUMENT for an expected count that is none", async () => {
    const client = await startClient();
    const call = client.createUsers(streamOf(...newUsers(3)), { headers: { "x-expected-count": "three" } });
    expect(await failureOf(call)).toMatchObject({
      code: "InvalidArgument",
      violations: ["x-expected-count: EXPECTED_COUNT_INVALID"],
    });
  });
});

describe("Chat", () => {
  it("answers every message with exactly one, in order, and ends after the half-close", async () => {
    const client = await startClient();
    const messages = Array.from({ length: 1000 }, (_, index) => ({ userId: "ada", message: `message ${index}` }));
    const answers = await collect(client.chat(streamOf(...messages)));
    expect(answers.map(({ userId }) => userId)).toEqual(messages.map(() => "server"));
    expect(answers.map(({ message }) => message)).toEqual(messages.map(({ message }) => `Echo: ${message}`));
  });

  it("answers each message before the next is sent", async () => {
    const client = await startClient();
    const heard: string[] = [];
    let answered = Promise.withResolvers<void>();
    async function* talk() {
      for (const message of ["one", "two", "three"]) {
        answered = Promise.withResolvers();
        yield { message };
        await answered.promise;
      }
    }
    for await (const { message } of client.chat(talk())) {
      heard.push(message);
      answered.resolve();
    }
    expect(heard).toEqual(["Echo: one", "Echo: two", "Echo: three"]);
  });

  it("copies the timestamp if there is one", async () => {
    const client = await startClient();
    const timestamp = { ...timestampFromMs(1_750_000_000_000), nanos: 123_456_789 };
    const [timed, timeless] = await collect(client.chat(streamOf({ message: "a", timestamp }, { message: "b" })));
    expect(timed?.timestamp).toEqual(timestamp);
    expect(timeless?.timestamp).toBeUndefined();
  });

  it("ends with OK when the client says nothing", async () => {
    expect(await collect((await startClient()).chat(streamOf()))).toEqual([]);
  });

  it("fails with INVALID_ARGUMENT when a message breaks a rule", async () => {
    const client = await startClient();
    const stream = client.chat(streamOf({ message: "fine" }, { message: "bad", userId: "x".repeat(129) }));
    expect(await failureOf(collect(stream))).toMatchObject({
      code: "InvalidArgument",
      violations: ["messages[1].user_id: STRING_MAX_BYTES"],
    });
  });
});
