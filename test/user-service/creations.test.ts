import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import type { Principal } from "../../src/domain/principal.ts";
import { UserRole, UserStatus } from "../../src/gen/user/v1/user_pb.ts";
import { failureOf, failuresOf } from "../support/errors.ts";
import { newUsers, startTestServer, streamOf, userClient } from "../support/server.ts";
import { BROKEN_RULES, LIMITS } from "./field-rules.ts";
import { COMPLETE, createUser, emptyServices, getUser, listUsers, startClient } from "./users.ts";

const emptyService = emptyServices();

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const SERVICE: Principal = { id: "importer", role: "service" };

/** What only an admin gives to a user. */
const PRIVILEGES = [
  ["the role of an admin", { role: UserRole.ADMIN }],
  ["the status of a suspended user", { status: UserStatus.SUSPENDED }],
] as const;

const DENIED = {
  code: "PermissionDenied",
  message: "only an admin may set role or status",
  reason: "CALLER_NOT_ALLOWED",
  domain: "user.v1",
};

describe("CreateUser", () => {
  it("creates a user with everything that is said of them", async () => {
    const client = await emptyService();
    const before = Date.now();
    const user = await createUser(client, COMPLETE);
    expect(user).toMatchObject({ ...COMPLETE, id: expect.stringMatching(UUID_V7), etag: expect.stringMatching(/./) });
    const createdAt = timestampDate(user.createdAt as Timestamp).getTime();
    expect(createdAt).toBeGreaterThanOrEqual(before);
    expect(createdAt).toBeLessThanOrEqual(Date.now());
    expect(user.updatedAt).toEqual(user.createdAt);
    expect(await getUser(client, user.id)).toEqual(user);
  });

  it("creates an active user of whom nothing else is said", async () => {
    const user = await createUser(await emptyService());
    expect(user).toMatchObject({
      role: UserRole.USER,
      status: UserStatus.ACTIVE,
      username: "",
      tags: [],
      metadata: {},
      contact: { case: undefined },
    });
    expect([user.age, user.profile]).toEqual([undefined, undefined]);
  });

  it("keeps e-mail address, name, username and the order of the tags as they are given", async () => {
    const fields = { email: " Ada@Example.COM ", name: " Ada  L. ", username: "Ada.L", tags: ["z", "a", "Z", "é"] };
    expect(await createUser(await emptyService(), fields)).toMatchObject(fields);
  });

  it("takes an empty profile for none", async () => {
    expect((await createUser(await emptyService(), { profile: { bio: "", avatarUrl: "" } })).profile).toBeUndefined();
  });

  it.each(LIMITS)("accepts %s that the rules allow", async (_what, fields) => {
    expect(await createUser(await emptyService(), fields)).toMatchObject(fields);
  });

  it("fails with INVALID_ARGUMENT for what breaks a rule, and creates nobody", async () => {
    const client = await emptyService();
    const calls = BROKEN_RULES.map(([what, fields]) => [what, createUser(client, fields)] as const);
    expect(await failuresOf(calls)).toMatchObject(
      BROKEN_RULES.map(([what, , path, reason]) => ({
        what,
        code: "InvalidArgument",
        reason: "INVALID_REQUEST",
        domain: "user.v1",
        violations: [`${path}: ${reason}`],
      })),
    );
    expect((await listUsers(client)).users).toEqual([]);
  });

  it("fails with INVALID_ARGUMENT when e-mail address and name are missing", async () => {
    expect(await failureOf((await emptyService()).createUser({}))).toMatchObject({
      code: "InvalidArgument",
      violations: ["email: STRING_MIN_BYTES", "name: STRING_MIN_BYTES"],
    });
  });

  it("lists all rules of one kind that the request breaks", async () => {
    const client = await emptyService();
    const fields = { username: "-", age: 200, tags: ["a", "a"], profile: { avatarUrl: "x" } };
    const { violations } = await failureOf(createUser(client, { email: "not an address", ...fields }));
    expect(violations).toEqual([
      "username: STRING_PATTERN",
      "age: INT32_GTE_LTE",
      "tags: REPEATED_UNIQUE",
      "profile.avatar_url: STRING_PATTERN",
      "profile.avatar_url: STRING_URI",
    ]);
    expect(await failureOf(createUser(client, { email: "not an address", name: " " }))).toMatchObject({
      violations: ["email: EMAIL_INVALID", "name: NAME_BLANK"],
    });
  });

  it.each([
    ["ada@example.com", " ADA@EXAMPLE.com "],
    ["e\u0301ve@example.com", "\u00e9ve@example.com"],
    ["ada@bücher.example", "ada@xn--bcher-kva.example"],
    ["strasse@example.com", "straße@example.com"],
  ])("fails with ALREADY_EXISTS when the address %s is written as %j", async (email, again) => {
    const client = await emptyService();
    await createUser(client, { email });
    expect(await failureOf(createUser(client, { email: again }))).toEqual({
      code: "AlreadyExists",
      message: "email: the e-mail address is taken",
      reason: "EMAIL_TAKEN",
      domain: "user.v1",
      facts: { field: "email" },
      violations: [],
      resource: "user.v1.User/",
    });
    expect((await listUsers(client)).users).toHaveLength(1);
  });

  it("fails with ALREADY_EXISTS when the username is taken, in whatever case it is written", async () => {
    const client = await emptyService();
    await createUser(client, { email: "ada@example.com", username: "Ada.L" });
    expect(await failureOf(createUser(client, { username: "aDA.l" }))).toEqual({
      code: "AlreadyExists",
      message: "username: the username is taken",
      reason: "USERNAME_TAKEN",
      domain: "user.v1",
      facts: { field: "username" },
      violations: [],
      resource: "user.v1.User/",
    });
    expect((await listUsers(client)).users).toHaveLength(1);
  });

  it("leaves the e-mail address free when the username is taken", async () => {
    const client = await emptyService();
    await createUser(client, { email: "ada@example.com", username: "ada" });
    await failureOf(createUser(client, { email: "other@example.com", username: "ada" }));
    await expect(createUser(client, { email: "other@example.com" })).resolves.toBeDefined();
  });

  it("lets any number of users have no username", async () => {
    const client = await emptyService();
    for (const user of newUsers(3)) await createUser(client, user);
    expect((await listUsers(client)).users).toHaveLength(3);
  });

  it.each(PRIVILEGES)("fails with PERMISSION_DENIED when anyone but an admin gives %s", async (_what, fields) => {
    const server = await startTestServer();
    expect(await failureOf(createUser(userClient(server, SERVICE), fields))).toMatchObject(DENIED);
    expect((await listUsers(userClient(server))).users).toEqual([]);
    expect(await createUser(userClient(server), fields)).toMatchObject(fields);
  });

  it("lets a service give the role and the status that a user has anyway", async () => {
    const client = userClient(await startTestServer(), SERVICE);
    const fields = { role: UserRole.USER, status: UserStatus.ACTIVE };
    expect(await createUser(client, fields)).toMatchObject(fields);
  });
});

describe("CreateUsers", () => {
  it("creates all users of the stream, in its order", async () => {
    const client = await emptyService();
    const { userIds, createdCount } = await client.createUsers(streamOf(...newUsers(100)));
    expect(createdCount).toBe(100);
    expect(userIds.toSorted()).toEqual(userIds);
    const { users } = await listUsers(client, { pageSize: 100 });
    expect(users.map(({ email }) => email)).toEqual(newUsers(100).map(({ email }) => email));
  });

  it("fails with INVALID_ARGUMENT when the stream holds no message", async () => {
    expect(await failureOf((await emptyService()).createUsers(streamOf()))).toMatchObject({
      code: "InvalidArgument",
      message: "invalid request: messages must hold at least one message",
      violations: ["messages: STREAM_EMPTY"],
    });
  });

  it("names the message and every field that breaks a rule, and creates nothing", async () => {
    const client = await emptyService();
    const users = newUsers(10);
    users[6] = { email: "", name: "" };
    expect(await failureOf(client.createUsers(streamOf(...users)))).toMatchObject({
      code: "InvalidArgument",
      violations: ["messages[6].email: STRING_MIN_BYTES", "messages[6].name: STRING_MIN_BYTES"],
    });
    expect((await listUsers(client, {})).users).toEqual([]);
  });

  it("fails with INVALID_ARGUMENT for a bad e-mail address in message 7, and creates nothing", async () => {
    const client = await emptyService();
    const users = newUsers(10);
    users[6] = { email: "not an address", name: " " };
    expect(await failureOf(client.createUsers(streamOf(...users)))).toMatchObject({
      code: "InvalidArgument",
      message:
        "invalid request: messages[6].email must be an e-mail address; messages[6].name must not be only white space",
      reason: "INVALID_REQUEST",
      violations: ["messages[6].email: EMAIL_INVALID", "messages[6].name: NAME_BLANK"],
    });
    expect((await listUsers(client, {})).users).toEqual([]);
  });

  it("names what breaks a rule of length or range before anything else", async () => {
    const call = (await emptyService()).createUsers(streamOf({ email: "not an address", name: "x".repeat(513) }));
    expect(await failureOf(call)).toMatchObject({ violations: ["messages[0].name: STRING_MAX_BYTES"] });
  });

  it("fails with ALREADY_EXISTS when an address is taken, however it is written, and creates nothing", async () => {
    const client = await emptyService();
    await client.createUsers(streamOf({ email: "ada@example.com", name: "Ada" }));
    const users = [...newUsers(3), { email: " ADA@EXAMPLE.com ", name: "Ada" }];
    expect(await failureOf(client.createUsers(streamOf(...users)))).toMatchObject({
      code: "AlreadyExists",
      message: "messages[3].email: the e-mail address is taken",
      reason: "EMAIL_TAKEN",
      facts: { field: "messages[3].email" },
      resource: "user.v1.User/",
    });
    expect((await listUsers(client, {})).users).toHaveLength(1);
  });

  it("fails with ALREADY_EXISTS when an address occurs twice in the stream", async () => {
    const client = await emptyService();
    const users = [...newUsers(3), ...newUsers(1)];
    expect(await failureOf(client.createUsers(streamOf(...users)))).toMatchObject({
      code: "AlreadyExists",
      facts: { field: "messages[3].email" },
    });
    expect((await listUsers(client, {})).users).toEqual([]);
  });

  it("fails with RESOURCE_EXHAUSTED for more users than the operator allows, and creates nothing", async () => {
    const client = await startClient({ MAX_USERS_PER_CALL: "3" });
    expect((await client.createUsers(streamOf(...newUsers(3)))).createdCount).toBe(3);
    expect(await failureOf(client.createUsers(streamOf(...newUsers(4, "more"))))).toMatchObject({
      code: "ResourceExhausted",
      message: "too many users in one call: at most 3 are allowed",
      reason: "TOO_MANY_USERS",
      facts: { limit: "3" },
    });
    expect((await listUsers(client)).users).toHaveLength(3);
  });

  it("creates the users when their number is the expected one, and fails with DATA_LOSS otherwise", async () => {
    const client = await emptyService();
    for (const expected of ["2", "4"]) {
      const call = client.createUsers(streamOf(...newUsers(3)), { headers: { "x-expected-count": expected } });
      expect(await failureOf(call)).toMatchObject({
        code: "DataLoss",
        message: `x-expected-count announced ${expected} messages, 3 arrived`,
        reason: "STREAM_INCOMPLETE",
      });
    }
    expect((await listUsers(client, {})).users).toEqual([]);
    await client.createUsers(streamOf(...newUsers(3)), { headers: { "x-expected-count": "3" } });
    expect((await listUsers(client, {})).users).toHaveLength(3);
  });

  it("fails with INVALID_ARGUMENT for an expected count that is none", async () => {
    const client = await emptyService();
    const call = client.createUsers(streamOf(...newUsers(3)), { headers: { "x-expected-count": "three" } });
    expect(await failureOf(call)).toMatchObject({
      code: "InvalidArgument",
      violations: ["x-expected-count: EXPECTED_COUNT_INVALID"],
    });
  });

  it("creates users with everything that is said of them", async () => {
    const client = await emptyService();
    const { userIds } = await client.createUsers(streamOf(COMPLETE, ...newUsers(1)));
    expect(await getUser(client, userIds[0] ?? "")).toMatchObject(COMPLETE);
    expect(await getUser(client, userIds[1] ?? "")).toMatchObject({ role: UserRole.USER, status: UserStatus.ACTIVE });
  });

  it("names the message in which a rule is broken, and creates nobody", async () => {
    const client = await emptyService();
    const [first, second, third] = newUsers(3);
    const calls = BROKEN_RULES.map(
      ([what, fields]) =>
        [what, client.createUsers(streamOf({ ...first }, { ...second, ...fields }, { ...third }))] as const,
    );
    expect(await failuresOf(calls)).toMatchObject(
      BROKEN_RULES.map(([what, , path, reason]) => ({
        what,
        code: "InvalidArgument",
        violations: [`messages[1].${path}: ${reason}`],
      })),
    );
    expect((await listUsers(client)).users).toEqual([]);
  });

  it("fails with ALREADY_EXISTS when a username is taken, or occurs twice in the stream", async () => {
    const client = await emptyService();
    const taken = {
      code: "AlreadyExists",
      message: "messages[2].username: the username is taken",
      reason: "USERNAME_TAKEN",
      domain: "user.v1",
      facts: { field: "messages[2].username" },
      resource: "user.v1.User/",
    };
    const withUsernames = (...usernames: string[]) =>
      streamOf(...newUsers(3).map((user, index) => ({ ...user, username: usernames[index] ?? "" })));

    expect(await failureOf(client.createUsers(withUsernames("ada", "", "ADA")))).toMatchObject(taken);
    expect((await listUsers(client)).users).toEqual([]);
    await createUser(client, { username: "Ada" });
    expect(await failureOf(client.createUsers(withUsernames("", "grace", "aDa")))).toMatchObject(taken);
    expect((await listUsers(client)).users).toHaveLength(1);
  });

  it.each(PRIVILEGES)("fails with PERMISSION_DENIED when a service gives one user %s", async (_what, fields) => {
    const server = await startTestServer();
    const [first, second] = newUsers(2);
    const users = [{ ...first }, { ...second, ...fields }];
    const service = userClient(server, SERVICE);
    expect(await failureOf(service.createUsers(streamOf(...users)))).toMatchObject(DENIED);
    const admin = userClient(server);
    expect((await listUsers(admin)).users).toEqual([]);
    const { userIds } = await admin.createUsers(streamOf(...users));
    expect(await getUser(admin, userIds[1] ?? "")).toMatchObject(fields);
  });

  it("lets a service give the role and the status that a user has anyway", async () => {
    const client = userClient(await startTestServer(), SERVICE);
    const users = newUsers(2).map((user) => ({ ...user, role: UserRole.USER, status: UserStatus.ACTIVE }));
    expect((await client.createUsers(streamOf(...users))).createdCount).toBe(2);
  });
});
