import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type User, UserRole, UserStatus } from "../../src/gen/user/v1/user_pb.ts";
import { failureOf, failuresOf } from "../support/errors.ts";
import { newUsers, startTestServer, type TestServer, userClient } from "../support/server.ts";
import { BROKEN_RULES, LIMITS } from "./field-rules.ts";
import { COMPLETE, createUser, emptyServices, getUser, type UserClient, type UserInit, updateUser } from "./users.ts";

const emptyService = emptyServices();

/** Everything another than COMPLETE, as a message that changes it all. */
const OTHER = {
  email: "grace@example.com",
  name: "Grace Hopper",
  role: UserRole.USER,
  username: "grace",
  age: 85,
  status: UserStatus.SUSPENDED,
  tags: ["admiral"],
  metadata: { ship: "none" },
  contact: { case: "slackId", value: "U0123456" },
  profile: { bio: "Finds bugs.", avatarUrl: "https://example.com/grace.png" },
} as const satisfies Omit<UserInit, "$typeName" | "$unknown">;

const PHONE = { case: "phone", value: "+15550100000" } as const;
const SLACK = { case: "slackId", value: "WABCDEF" } as const;
const NO_CONTACT = { case: undefined };

/** The paths that a mask may name, what they change, and what they change it to if the message says nothing there. */
const PATHS: readonly (readonly [path: string, changed: object, cleared: object | undefined])[] = [
  ["email", { email: OTHER.email }, undefined],
  ["name", { name: OTHER.name }, undefined],
  ["role", { role: OTHER.role }, undefined],
  ["username", { username: OTHER.username }, { username: "" }],
  ["age", { age: OTHER.age }, { age: undefined }],
  ["status", { status: OTHER.status }, undefined],
  ["tags", { tags: OTHER.tags }, { tags: [] }],
  ["metadata", { metadata: OTHER.metadata }, { metadata: {} }],
  ["slack_id", { contact: OTHER.contact }, {}],
  ["phone", { contact: NO_CONTACT }, { contact: NO_CONTACT }],
  ["profile", { profile: OTHER.profile }, { profile: undefined }],
  [
    "profile.bio",
    { profile: { ...COMPLETE.profile, bio: OTHER.profile.bio } },
    { profile: { avatarUrl: COMPLETE.profile.avatarUrl, bio: "" } },
  ],
  [
    "profile.avatar_url",
    { profile: { ...COMPLETE.profile, avatarUrl: OTHER.profile.avatarUrl } },
    { profile: { bio: COMPLETE.profile.bio, avatarUrl: "" } },
  ],
];

/** What a mask must not name, and what the caller is told of it. */
const BAD_PATHS = [
  ["id", 'must not name "id", which is output only'],
  ["created_at", 'must not name "created_at", which is output only'],
  ["updated_at", 'must not name "updated_at", which is output only'],
  ["etag", 'must not name "etag", which is output only'],
  ["password", "must name fields of User only"],
  ["", "must name fields of User only"],
  ["Name", "must name fields of User only"],
  ["slackId", "must name fields of User only"],
  ["contact", "must name fields of User only"],
  ["profile.", "must name fields of User only"],
  ["profile.*", "must name fields of User only"],
  ["profile.avatarUrl", "must name fields of User only"],
  ["name.first", "must name fields of User only"],
  ["created_at.seconds", "must name fields of User only"],
  ["metadata.team", "must name fields of User only"],
  ["tags[0]", "must name fields of User only"],
  ["user.name", "must name fields of User only"],
  ["constructor", "must name fields of User only"],
  ["__proto__", "must name fields of User only"],
] as const;

const TAKEN = { code: "AlreadyExists", domain: "user.v1", resource: "user.v1.User/" };
const MISMATCH = {
  code: "Aborted",
  message: "the user has changed meanwhile",
  reason: "ETAG_MISMATCH",
  domain: "user.v1",
};
const DENIED = {
  code: "PermissionDenied",
  message: "only an admin may set role or status",
  reason: "CALLER_NOT_ALLOWED",
  domain: "user.v1",
};

/** The time when a user was changed, in milliseconds. */
function updatedMs({ updatedAt }: User): number {
  return timestampMs(updatedAt as Timestamp);
}

/** Stops the clock for the rest of a test, which then moves it by hand. */
function stopClock(): { advance(ms: number): void } {
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  return { advance: (ms) => void vi.setSystemTime(Date.now() + ms) };
}

/** A user as everybody may see it change: what the service itself sets is left out. */
function fieldsOf({ updatedAt: _updatedAt, etag: _etag, ...fields }: User): object {
  return fields;
}

describe("UpdateUser with a mask", () => {
  it.each(PATHS)("changes %s, and nothing else", async (path, changed) => {
    const client = await emptyService();
    const before = await createUser(client, COMPLETE);
    const after = await updateUser(client, { id: before.id, ...OTHER }, path);
    expect(fieldsOf(after)).toEqual({ ...fieldsOf(before), ...withTypes(before, changed) });
    expect(await getUser(client, before.id)).toEqual(after);
  });

  it.each(PATHS)("changes %s where the message says nothing of it", async (path, _changed, cleared) => {
    const client = await emptyService();
    const before = await createUser(client, COMPLETE);
    const call = updateUser(client, { id: before.id }, path);
    if (cleared === undefined) {
      expect(await failureOf(call)).toMatchObject({
        code: "InvalidArgument",
        violations: [expect.stringMatching(`^user.${path}: `)],
      });
      expect(await getUser(client, before.id)).toEqual(before);
    } else {
      expect(fieldsOf(await call)).toEqual({ ...fieldsOf(before), ...withTypes(before, cleared) });
    }
  });

  it("changes all fields that it names", async () => {
    const client = await emptyService();
    const { id } = await createUser(client, COMPLETE);
    const paths = Object.keys(OTHER).filter((path) => path !== "contact");
    expect(await updateUser(client, { id, ...OTHER }, ...paths, "phone", "slack_id")).toMatchObject(OTHER);
  });

  it("takes a path that occurs twice, or beside one that holds it, for one", async () => {
    const client = await emptyService();
    const { id } = await createUser(client, COMPLETE);
    const { name, profile } = OTHER;
    const paths = ["name", "name", "profile.bio", "profile", "profile.avatar_url"];
    expect(await updateUser(client, { id, name, profile }, ...paths)).toMatchObject({ ...COMPLETE, name, profile });
  });

  it.each([["profile.bio", "profile.avatar_url"], ["profile"]])(
    "leaves no profile when all of it is cleared by %s",
    async (...paths) => {
      const client = await emptyService();
      const { id } = await createUser(client, COMPLETE);
      expect((await updateUser(client, { id, profile: {} }, ...paths)).profile).toBeUndefined();
    },
  );

  it("makes a profile where there was none", async () => {
    const client = await emptyService();
    const { id } = await createUser(client);
    const user = await updateUser(client, { id, profile: { bio: "new" } }, "profile.bio");
    expect(user.profile).toMatchObject({ bio: "new", avatarUrl: "" });
  });

  it.each([
    [["phone"], PHONE, PHONE],
    [["slack_id"], SLACK, SLACK],
    [["phone", "slack_id"], SLACK, SLACK],
    [["slack_id", "phone"], SLACK, SLACK],
    [["phone", "slack_id"], PHONE, PHONE],
    [["slack_id", "phone"], PHONE, PHONE],
    [["phone", "slack_id"], NO_CONTACT, NO_CONTACT],
  ] as const)("switches the contact by %j", async (paths, contact, expected) => {
    const client = await emptyService();
    for (const [index, before] of [PHONE, SLACK, NO_CONTACT].entries()) {
      const { id } = await createUser(client, { email: `user${index}@example.com`, contact: before });
      expect((await updateUser(client, { id, contact }, ...paths)).contact).toEqual(expected);
    }
  });

  it("leaves the contact of the other kind alone", async () => {
    const client = await emptyService();
    const { id } = await createUser(client, { contact: SLACK });
    expect((await updateUser(client, { id, name: "changed" }, "name", "phone")).contact).toEqual(SLACK);
    expect((await updateUser(client, { id, contact: PHONE, name: "again" }, "name", "slack_id")).contact).toEqual(
      NO_CONTACT,
    );
  });

  it.each(["role", "status"])("fails with INVALID_ARGUMENT when it names %s, and none is stated", async (path) => {
    const client = await emptyService();
    const { id } = await createUser(client);
    expect(await failureOf(updateUser(client, { id, name: "changed" }, "name", path))).toMatchObject({
      code: "InvalidArgument",
      message: `invalid request: user.${path} must be stated if the update mask names it`,
      reason: "INVALID_REQUEST",
      violations: [`user.${path}: VALUE_UNSPECIFIED`],
    });
  });

  it("fails with INVALID_ARGUMENT when it names what is no field that can be changed, and changes nothing", async () => {
    const client = await emptyService();
    const before = await createUser(client, COMPLETE);
    const update = (path: string) => updateUser(client, { id: before.id, ...OTHER }, "name", path);
    expect(await failuresOf(BAD_PATHS.map(([path]) => [path, update(path)] as const))).toMatchObject(
      BAD_PATHS.map(([path, description]) => ({
        what: path,
        code: "InvalidArgument",
        message: `invalid request: update_mask ${description}`,
        reason: "INVALID_REQUEST",
        domain: "user.v1",
        violations: ["update_mask: PATH_INVALID"],
      })),
    );
    expect(await getUser(client, before.id)).toEqual(before);
  });

  it("lists all paths that are wrong", async () => {
    const client = await emptyService();
    const { id } = await createUser(client);
    const { violations } = await failureOf(
      updateUser(client, { id, name: "changed" }, "password", "name", "etag", "*"),
    );
    expect(violations).toEqual(Array(3).fill("update_mask: PATH_INVALID"));
  });
});

describe("UpdateUser with an empty mask", () => {
  it("changes every field that is set in the request", async () => {
    const client = await emptyService();
    const { id } = await createUser(client, COMPLETE);
    const { user } = await client.updateUser({ user: { id, ...OTHER } });
    expect(user).toMatchObject({ id, ...OTHER });
  });

  it.each<[string, UserInit, object]>([
    ["name", { name: "changed" }, { name: "changed" }],
    ["age 0", { age: 0 }, { age: 0 }],
    ["one part of the profile", { profile: { bio: "changed" } }, { profile: { ...COMPLETE.profile, bio: "changed" } }],
    ["the contact", { contact: SLACK }, { contact: SLACK }],
    ["tags", { tags: ["changed"] }, { tags: ["changed"] }],
    ["metadata", { metadata: { changed: "" } }, { metadata: { changed: "" } }],
  ])("changes %s alone", async (_what, message, changed) => {
    const client = await emptyService();
    const before = await createUser(client, COMPLETE);
    for (const mask of [{}, { updateMask: { paths: [] } }]) {
      const { user } = await client.updateUser({ user: { id: before.id, ...message }, ...mask });
      expect(fieldsOf(user as User)).toEqual({ ...fieldsOf(before), ...withTypes(before, changed) });
    }
  });

  it("changes nothing when nothing is set", async () => {
    const client = await emptyService();
    const before = await createUser(client, COMPLETE);
    expect((await client.updateUser({ user: { id: before.id, profile: {} } })).user).toEqual(before);
  });

  it("takes no notice of what is output only", async () => {
    const client = await emptyService();
    const before = await createUser(client, COMPLETE);
    const message = { id: before.id, createdAt: { seconds: 1n }, updatedAt: { seconds: 2n }, name: "changed" };
    const { user } = await client.updateUser({ user: message });
    expect(fieldsOf(user as User)).toEqual({ ...fieldsOf(before), name: "changed" });
  });

  it("takes a user that was read, is changed, and sent back as it is", async () => {
    const client = await emptyService();
    const before = await createUser(client, COMPLETE);
    const { user } = await client.updateUser({ user: { ...before, name: "changed" } });
    expect(fieldsOf(user as User)).toEqual({ ...fieldsOf(before), name: "changed" });
  });
});

describe("UpdateUser with the mask *", () => {
  it("replaces the user", async () => {
    const client = await emptyService();
    const { id } = await createUser(client, COMPLETE);
    expect(await updateUser(client, { id, ...OTHER }, "*")).toMatchObject({ id, ...OTHER });
  });

  it("clears what the request does not state, but for role and status, which stay", async () => {
    const client = await emptyService();
    const before = await createUser(client, { ...COMPLETE, status: UserStatus.SUSPENDED });
    const { email, name } = OTHER;
    const after = await updateUser(client, { id: before.id, email, name }, "*");
    expect(after).toMatchObject({
      id: before.id,
      createdAt: before.createdAt,
      email,
      name,
      role: COMPLETE.role,
      status: UserStatus.SUSPENDED,
      username: "",
      tags: [],
      metadata: {},
      contact: NO_CONTACT,
    });
    expect([after.age, after.profile]).toEqual([undefined, undefined]);
  });

  it("fails with INVALID_ARGUMENT when e-mail address or name is missing", async () => {
    const client = await emptyService();
    const before = await createUser(client, COMPLETE);
    expect(await failureOf(updateUser(client, { id: before.id, email: OTHER.email }, "*"))).toMatchObject({
      code: "InvalidArgument",
      violations: ["user.name: NAME_BLANK"],
    });
    expect(await failureOf(updateUser(client, { id: before.id, age: 1 }, "*"))).toMatchObject({
      violations: ["user.email: EMAIL_INVALID", "user.name: NAME_BLANK"],
    });
    expect(await getUser(client, before.id)).toEqual(before);
  });

  it.each([[["*", "name"]], [["name", "*"]], [["*", "*"]]])("fails with INVALID_ARGUMENT for %j", async (paths) => {
    const client = await emptyService();
    const { id } = await createUser(client);
    const violations = paths.filter((path) => path === "*").map(() => "update_mask: PATH_INVALID");
    expect(await failureOf(updateUser(client, { id, ...OTHER }, ...paths))).toMatchObject({
      code: "InvalidArgument",
      message: expect.stringContaining('update_mask must not name other paths beside "*"'),
      violations,
    });
  });
});

describe("UpdateUser", () => {
  it("fails with INVALID_ARGUMENT for what breaks a rule, and changes nothing", async () => {
    const client = await emptyService();
    const before = await createUser(client);
    const calls = BROKEN_RULES.map(
      ([what, fields]) => [what, updateUser(client, { id: before.id, ...fields })] as const,
    );
    expect(await failuresOf(calls)).toMatchObject(
      BROKEN_RULES.map(([what, , path, reason]) => ({
        what,
        code: "InvalidArgument",
        reason: "INVALID_REQUEST",
        domain: "user.v1",
        violations: [`user.${path}: ${reason}`],
      })),
    );
    expect(await getUser(client, before.id)).toEqual(before);
  });

  it.each(LIMITS)("accepts %s that the rules allow", async (_what, fields) => {
    const client = await emptyService();
    const { id } = await createUser(client);
    expect(await updateUser(client, { id, ...fields }, "*")).toMatchObject(fields);
  });

  it("fails with NOT_FOUND for an unknown id of any form", async () => {
    const client = await emptyService();
    for (const id of ["x", "no uuid ☃", "a".repeat(128)]) {
      expect(await failureOf(updateUser(client, { id, name: "changed" }))).toMatchObject({
        code: "NotFound",
        message: "no such user",
        reason: "USER_NOT_FOUND",
        domain: "user.v1",
        resource: `user.v1.User/${id}`,
      });
    }
  });

  it("fails with INVALID_ARGUMENT when the request names no user", async () => {
    const client = await emptyService();
    expect(await failureOf(client.updateUser({}))).toMatchObject({
      code: "InvalidArgument",
      violations: ["user: REQUIRED"],
    });
    expect(await failureOf(updateUser(client, { name: "changed" }))).toMatchObject({
      code: "InvalidArgument",
      violations: ["user.id: ID_EMPTY"],
    });
    expect(await failureOf(updateUser(client, { id: "é".repeat(65), etag: "é".repeat(33) }))).toMatchObject({
      code: "InvalidArgument",
      violations: ["user.id: STRING_MAX_BYTES", "user.etag: STRING_MAX_BYTES"],
    });
  });

  it("tells when the user was last changed, and gives the new state another etag", async () => {
    const clock = stopClock();
    const client = await emptyService();
    const created = await createUser(client, COMPLETE);
    const etags = new Set([created.etag]);
    for (const name of ["one", "other", "one"]) {
      clock.advance(1234);
      const changed = await updateUser(client, { id: created.id, name });
      expect(updatedMs(changed)).toBe(Date.now());
      expect(changed.createdAt).toEqual(created.createdAt);
      etags.add(changed.etag);
    }
    expect(etags.size).toBe(4);
  });

  it.each<[string, UserInit, string[]]>([
    ["the same fields", COMPLETE, []],
    ["the same fields with the mask *", COMPLETE, ["*"]],
    ["a role and a status that stay", { email: COMPLETE.email, role: COMPLETE.role }, ["email", "role"]],
    ["a contact of the other kind, which is not there", {}, ["slack_id"]],
    ["metadata in another order", { metadata: { "cost.centre": "7", team: "engine" } }, ["metadata"]],
  ])("leaves etag and updated_at alone for %s", async (_what, message, paths) => {
    const clock = stopClock();
    const client = await emptyService();
    const before = await createUser(client, COMPLETE);
    clock.advance(5000);
    expect(await updateUser(client, { id: before.id, ...message }, ...paths)).toEqual(before);
    expect(await getUser(client, before.id)).toEqual(before);
  });

  it("leaves the etags of other users alone", async () => {
    const client = await emptyService();
    const [one, other] = await createTwo(client);
    await updateUser(client, { id: one.id, name: "changed" });
    await client.deleteUser({ id: one.id });
    expect(await getUser(client, other.id)).toEqual(other);
  });
});

describe("UpdateUser with an etag", () => {
  it("changes the user who has it", async () => {
    const client = await emptyService();
    const { id, etag } = await createUser(client);
    const changed = await updateUser(client, { id, etag, name: "changed" }, "name");
    expect(changed).toMatchObject({ name: "changed" });
    await expect(updateUser(client, { id, etag: changed.etag, name: "again" }, "*")).rejects.toThrow();
    expect(await updateUser(client, { id, etag: changed.etag, name: "again" })).toMatchObject({ name: "again" });
  });

  it("fails with ABORTED when the user has another, even if nothing would change", async () => {
    const client = await emptyService();
    const [{ id, etag }, other] = await createTwo(client);
    const changed = await updateUser(client, { id, name: "changed" });
    for (const stale of [etag, other.etag, changed.etag.replaceAll('"', ""), "*"]) {
      for (const name of ["again", "changed"]) {
        expect(await failureOf(updateUser(client, { id, etag: stale, name }, "name"))).toEqual({
          ...MISMATCH,
          facts: {},
          violations: [],
          resource: `user.v1.User/${id}`,
        });
      }
    }
    expect(await getUser(client, id)).toEqual(changed);
  });

  it("lets one of several changes through that are made at once", async () => {
    const client = await emptyService();
    const { id, etag } = await createUser(client);
    const names = newUsers(10).map(({ name }) => name);
    const calls = await Promise.allSettled(names.map((name) => updateUser(client, { id, etag, name })));
    expect(calls.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });
});

describe("UpdateUser of what is unique", () => {
  it("fails with ALREADY_EXISTS when the e-mail address is another user's, however it is written", async () => {
    const client = await emptyService();
    const [one, other] = await createTwo(client);
    for (const email of [other.email, ` ${other.email.toUpperCase()}`]) {
      expect(await failureOf(updateUser(client, { id: one.id, email, name: "changed" }))).toMatchObject({
        ...TAKEN,
        message: "user.email: the e-mail address is taken",
        reason: "EMAIL_TAKEN",
        facts: { field: "user.email" },
      });
    }
    expect(await getUser(client, one.id)).toEqual(one);
  });

  it("fails with ALREADY_EXISTS when the username is another user's, in whatever case it is written", async () => {
    const client = await emptyService();
    const [one, other] = await createTwo(client);
    const username = other.username.toUpperCase();
    expect(await failureOf(updateUser(client, { id: one.id, username }))).toMatchObject({
      ...TAKEN,
      message: "user.username: the username is taken",
      reason: "USERNAME_TAKEN",
      facts: { field: "user.username" },
    });
    expect(await getUser(client, one.id)).toEqual(one);
  });

  it("lets users write their own e-mail address and username in another way", async () => {
    const client = await emptyService();
    const { id, etag } = await createUser(client, { email: "ada@example.com", username: "ada" });
    const fields = { email: " ADA@example.com", username: "Ada" };
    const changed = await updateUser(client, { id, ...fields });
    expect(changed).toMatchObject(fields);
    expect(changed.etag).not.toBe(etag);
    expect(await failureOf(createUser(client, { email: "ada@example.com" }))).toMatchObject({ reason: "EMAIL_TAKEN" });
    expect(await failureOf(createUser(client, { username: "ada" }))).toMatchObject({ reason: "USERNAME_TAKEN" });
  });

  it("frees what the user had before", async () => {
    const client = await emptyService();
    const [one, other] = await createTwo(client);
    await updateUser(client, { id: one.id, email: "new@example.com" }, "email", "username");
    const { email, username } = one;
    expect(await updateUser(client, { id: other.id, email, username })).toMatchObject({ email, username });
    await expect(createUser(client, { email: other.email, username: other.username })).resolves.toBeDefined();
  });

  it("frees nothing when it fails", async () => {
    const client = await emptyService();
    const [one, other] = await createTwo(client);
    await failureOf(updateUser(client, { id: one.id, email: "new@example.com", username: other.username }));
    expect(await failureOf(createUser(client, { email: one.email }))).toMatchObject({ reason: "EMAIL_TAKEN" });
    await expect(createUser(client, { email: "new@example.com" })).resolves.toBeDefined();
  });
});

describe("UpdateUser by the user concerned", () => {
  async function startAsSelf(): Promise<{ server: TestServer; client: UserClient; before: User }> {
    const server = await startTestServer();
    const before = await createUser(userClient(server), { ...COMPLETE, role: UserRole.USER });
    return { server, client: userClient(server, { id: before.id, role: "user" }), before };
  }

  it("changes all but role and status", async () => {
    const { client, before } = await startAsSelf();
    const { role: _role, status: _status, ...fields } = OTHER;
    expect(await updateUser(client, { id: before.id, ...fields })).toMatchObject(fields);
    expect(await updateUser(client, { id: before.id, ...fields, age: 1 }, "*")).toMatchObject({ ...fields, age: 1 });
  });

  it.each<[string, UserInit]>([
    ["role", { role: UserRole.ADMIN }],
    ["status", { status: UserStatus.SUSPENDED }],
  ])("fails with PERMISSION_DENIED when it changes the %s, and changes nothing", async (path, message) => {
    const { client, before } = await startAsSelf();
    for (const paths of [[path], [path, "name"], ["*"], []]) {
      const { email } = before;
      const call = updateUser(client, { id: before.id, email, name: "changed", ...message }, ...paths);
      expect(await failureOf(call)).toMatchObject(DENIED);
    }
    expect(await getUser(client, before.id)).toEqual(before);
  });

  it("may state the role and the status as they are", async () => {
    const { client, before } = await startAsSelf();
    const { id, role, status } = before;
    expect(await updateUser(client, { id, role, status, name: "changed" }, "role", "status", "name")).toMatchObject({
      role,
      status,
      name: "changed",
    });
  });

  it("keeps the role that an admin has given", async () => {
    const { server, client, before } = await startAsSelf();
    const { id, email } = before;
    await updateUser(userClient(server), { id, role: UserRole.ADMIN });
    expect(await failureOf(updateUser(client, { id, role: UserRole.USER }))).toMatchObject(DENIED);
    expect(await updateUser(client, { id, email, name: "changed" }, "*")).toMatchObject({ role: UserRole.ADMIN });
  });

  it("fails with PERMISSION_DENIED when it is another user whom the request names, or nobody", async () => {
    const { server, client } = await startAsSelf();
    const { id } = await createUser(userClient(server));
    for (const user of [{ id }, { id: "nobody" }, {}])
      expect(await failureOf(updateUser(client, { ...user, name: "changed" }))).toMatchObject({
        code: "PermissionDenied",
        message: "only the user concerned or an admin may do this",
      });
  });
});

/** Two users with usernames. */
async function createTwo(client: UserClient): Promise<[User, User]> {
  const one = await createUser(client, { email: "one@example.com", username: "one" });
  return [one, await createUser(client, { email: "other@example.com", username: "other" })];
}

/** Changes, with the profile as the message that it is in a user. */
function withTypes({ profile }: User, changes: object): object {
  const changed = (changes as { profile?: object }).profile;
  return changed === undefined ? changes : { ...changes, profile: { ...profile, ...changed } };
}
