import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { Principal } from "../../src/domain/principal.ts";
import { UserRole, UserStatus } from "../../src/gen/user/v1/user_pb.ts";
import { failureOf } from "../support/errors.ts";
import { newUsers, startTestServer, streamOf, userClient } from "../support/server.ts";
import type { CommonFields } from "./field-rules.ts";
import { COMPLETE, createUser, idsOf, listUsers, startClient, updateUser } from "./users.ts";

const ID = "0b9f1c7e-52c4-4d3a-9f0e-7a1b2c3d4e5f";
const DAY_MS = 24 * 3_600_000;
const SERVICE: Principal = { id: "importer", role: "service" };

/** Lets a test set the clock, for as long as it runs. */
function takeOverClock(): void {
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
}

const REUSED = {
  code: "InvalidArgument",
  reason: "INVALID_REQUEST",
  domain: "user.v1",
  violations: ["request_id: REQUEST_ID_REUSED"],
};

describe("CreateUser with a request_id", () => {
  it("answers the same request with the same user, and creates nobody", async () => {
    const client = await startClient();
    const user = await createUser(client, { ...COMPLETE, requestId: ID });
    for (let time = 0; time < 3; time++) expect(await createUser(client, { ...COMPLETE, requestId: ID })).toEqual(user);
    expect((await listUsers(client)).users).toEqual([user]);
  });

  it("answers with the user as it is now", async () => {
    const client = await startClient();
    const { id } = await createUser(client, { requestId: ID });
    const changed = await updateUser(client, { id, email: "new@example.com", name: "changed" }, "email", "name");
    expect(await createUser(client, { requestId: ID })).toEqual(changed);
  });

  it("takes an id for the same in upper case", async () => {
    const client = await startClient();
    const user = await createUser(client, { requestId: ID });
    expect(await createUser(client, { requestId: ID.toUpperCase() })).toEqual(user);
  });

  it("takes what is said for the same as what is meant without it", async () => {
    const client = await startClient();
    const user = await createUser(client, { requestId: ID });
    const said = { role: UserRole.USER, status: UserStatus.ACTIVE, profile: {} };
    expect(await createUser(client, { requestId: ID, ...said })).toEqual(user);
  });

  it("takes metadata for the same in another order", async () => {
    const client = await startClient();
    const user = await createUser(client, { requestId: ID, metadata: { a: "1", b: "2" } });
    expect(await createUser(client, { requestId: ID, metadata: { b: "2", a: "1" } })).toEqual(user);
  });

  it.each<[string, CommonFields]>([
    ["email", { email: "ada@EXAMPLE.com" }],
    ["name", { name: "ada Lovelace" }],
    ["role", { role: UserRole.USER }],
    ["username", { username: "ada.l" }],
    ["age", { age: 0 }],
    ["status", { status: UserStatus.SUSPENDED }],
    ["tags", { tags: COMPLETE.tags.toReversed() }],
    ["metadata", { metadata: { ...COMPLETE.metadata, more: "" } }],
    ["phone", { contact: { case: "phone", value: "+441234567891" } }],
    ["slack_id", { contact: { case: "slackId", value: "U0123456" } }],
    ["profile.bio", { profile: { ...COMPLETE.profile, bio: "" } }],
    ["profile.avatar_url", { profile: { ...COMPLETE.profile, avatarUrl: "https://example.com/ada" } }],
  ])("fails with INVALID_ARGUMENT when %s is another", async (_field, fields) => {
    const client = await startClient();
    await createUser(client, { ...COMPLETE, requestId: ID });
    expect(await failureOf(createUser(client, { ...COMPLETE, requestId: ID, ...fields }))).toMatchObject(REUSED);
    expect((await listUsers(client)).users).toHaveLength(1);
  });

  it("fails with NOT_FOUND when the user has been deleted meanwhile", async () => {
    const client = await startClient();
    const { id } = await createUser(client, { requestId: ID });
    await client.deleteUser({ id });
    expect(await failureOf(createUser(client, { requestId: ID }))).toMatchObject({
      code: "NotFound",
      reason: "USER_NOT_FOUND",
      resource: `user.v1.User/${id}`,
    });
    expect((await listUsers(client)).users).toEqual([]);
  });

  it("is another request when another caller sends it", async () => {
    const server = await startTestServer();
    const [admin, service] = [userClient(server), userClient(server, SERVICE)];
    const user = await createUser(admin, { requestId: ID });
    expect(await failureOf(createUser(service, { requestId: ID }))).toMatchObject({ code: "AlreadyExists" });
    const other = await createUser(service, { requestId: ID, email: "other@example.com" });
    expect(other.id).not.toBe(user.id);
    expect(await createUser(admin, { requestId: ID })).toEqual(user);
    expect(await createUser(service, { requestId: ID, email: "other@example.com" })).toEqual(other);
  });

  it("forgets a request that failed", async () => {
    const client = await startClient();
    const { id } = await createUser(client, { email: "ada@example.com" });
    expect(await failureOf(createUser(client, { requestId: ID, email: "ada@example.com" }))).toMatchObject({
      code: "AlreadyExists",
    });
    await client.deleteUser({ id });
    await expect(createUser(client, { requestId: ID, email: "grace@example.com" })).resolves.toBeDefined();
  });

  it("knows a request for 24 hours, and then no more", async () => {
    takeOverClock();
    const client = await startClient();
    const user = await createUser(client, { requestId: ID });
    vi.setSystemTime(Date.now() + DAY_MS - 1000);
    expect(await createUser(client, { requestId: ID })).toEqual(user);
    vi.setSystemTime(Date.now() + 2000);
    expect(await failureOf(createUser(client, { requestId: ID }))).toMatchObject({ code: "AlreadyExists" });
    const other = await createUser(client, { requestId: ID, email: "other@example.com" });
    expect(idsOf((await listUsers(client)).users)).toEqual([user.id, other.id]);
  });

  it.each(["x", ID.slice(1), `${ID}0`, ID.replaceAll("-", ""), `{${ID}}`, ` ${ID}`])(
    "fails with INVALID_ARGUMENT when it is %j, which is no UUID",
    async (requestId) => {
      expect(await failureOf(createUser(await startClient(), { requestId }))).toMatchObject({
        code: "InvalidArgument",
        violations: ["request_id: STRING_UUID"],
      });
    },
  );

  it("creates one user when it is sent many times at once", async () => {
    const client = await startClient();
    const users = await Promise.all(Array.from({ length: 20 }, () => createUser(client, { requestId: ID })));
    expect(new Set(idsOf(users)).size).toBe(1);
    expect((await listUsers(client)).users).toHaveLength(1);
  });
});

describe("CreateUsers with request_ids", () => {
  const FIRST = { email: "first@example.com", name: "first", requestId: `${ID.slice(0, -1)}1` };
  const SECOND = { email: "second@example.com", name: "second", requestId: `${ID.slice(0, -1)}2` };
  const THIRD = { email: "third@example.com", name: "third", requestId: `${ID.slice(0, -1)}3` };
  const ALL = [FIRST, SECOND, THIRD];

  it("gives the same answer when the stream is sent again, and creates nobody", async () => {
    const client = await startClient();
    const answer = await client.createUsers(streamOf(...ALL));
    expect(answer.createdCount).toBe(3);
    expect(await client.createUsers(streamOf(...ALL))).toEqual(answer);
    expect(idsOf((await listUsers(client)).users)).toEqual(answer.userIds);
  });

  it("creates those users of a stream who are new, whatever the order", async () => {
    const client = await startClient();
    const early = await client.createUsers(streamOf(SECOND));
    const answer = await client.createUsers(streamOf(FIRST, SECOND, THIRD));
    expect(answer.createdCount).toBe(3);
    expect(answer.userIds[1]).toBe(early.userIds[0]);
    const listed = idsOf((await listUsers(client)).users);
    expect(listed).toEqual([answer.userIds[1], answer.userIds[0], answer.userIds[2]]);
  });

  it("takes messages with and without", async () => {
    const client = await startClient();
    const { userIds } = await client.createUsers(streamOf(FIRST, ...newUsers(1, "plain")));
    const again = await client.createUsers(streamOf(...newUsers(1, "more"), FIRST));
    expect(again.userIds[1]).toBe(userIds[0]);
    expect((await listUsers(client)).users).toHaveLength(3);
  });

  it("knows what CreateUser created, and the other way round", async () => {
    const client = await startClient();
    const user = await createUser(client, FIRST);
    const { userIds } = await client.createUsers(streamOf(FIRST, SECOND));
    expect(userIds[0]).toBe(user.id);
    expect((await createUser(client, SECOND)).id).toBe(userIds[1]);
  });

  it("creates one user when a message occurs twice in the stream", async () => {
    const client = await startClient();
    const { userIds } = await client.createUsers(streamOf(FIRST, SECOND, FIRST));
    expect(userIds[2]).toBe(userIds[0]);
    expect(idsOf((await listUsers(client)).users)).toEqual(userIds.slice(0, 2));
  });

  it("fails with INVALID_ARGUMENT when the content of a message is another, and creates nobody", async () => {
    const client = await startClient();
    await client.createUsers(streamOf(THIRD));
    const call = client.createUsers(streamOf(FIRST, SECOND, { ...THIRD, name: "changed" }));
    expect(await failureOf(call)).toMatchObject({
      ...REUSED,
      violations: ["messages[2].request_id: REQUEST_ID_REUSED"],
    });
    expect((await listUsers(client)).users).toHaveLength(1);
  });

  it("fails with INVALID_ARGUMENT when two messages of the stream have one id, and other content", async () => {
    const client = await startClient();
    const call = client.createUsers(streamOf(FIRST, { ...SECOND, requestId: FIRST.requestId }));
    expect(await failureOf(call)).toMatchObject({ violations: ["messages[1].request_id: REQUEST_ID_REUSED"] });
    expect((await listUsers(client)).users).toEqual([]);
  });

  it("fails with NOT_FOUND when one of the users has been deleted meanwhile, and creates nobody", async () => {
    const client = await startClient();
    const { userIds } = await client.createUsers(streamOf(SECOND));
    const id = userIds[0] ?? "";
    await client.deleteUser({ id });
    expect(await failureOf(client.createUsers(streamOf(FIRST, SECOND)))).toMatchObject({
      code: "NotFound",
      resource: `user.v1.User/${id}`,
    });
    expect((await listUsers(client)).users).toEqual([]);
  });

  it("is another request when another caller sends it", async () => {
    const server = await startTestServer();
    const { userIds } = await userClient(server).createUsers(streamOf(...ALL));
    const others = newUsers(3, "other").map((user, index) => ({ ...user, requestId: ALL[index]?.requestId ?? "" }));
    const answer = await userClient(server, SERVICE).createUsers(streamOf(...others));
    expect(new Set([...userIds, ...answer.userIds]).size).toBe(6);
  });

  it("fails with INVALID_ARGUMENT when one is no UUID", async () => {
    const client = await startClient();
    expect(await failureOf(client.createUsers(streamOf(FIRST, { ...SECOND, requestId: "x" })))).toMatchObject({
      violations: ["messages[1].request_id: STRING_UUID"],
    });
  });

  it("forgets the requests of a stream that failed", async () => {
    const client = await startClient();
    await failureOf(client.createUsers(streamOf(FIRST, { ...SECOND, name: " " })));
    await failureOf(client.createUsers(streamOf(FIRST, { ...SECOND, email: FIRST.email })));
    const { userIds } = await client.createUsers(streamOf({ ...FIRST, name: "another" }));
    expect(userIds).toHaveLength(1);
  });
});
