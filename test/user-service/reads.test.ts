import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { UserRole, UserStatus } from "../../src/gen/user/v1/user_pb.ts";
import { failureOf } from "../support/errors.ts";
import { newUsers, streamOf } from "../support/server.ts";
import { COMPLETE, createLargeUsers, createUser, emptyServices, idsOf } from "./users.ts";

const emptyService = emptyServices();

describe("GetUser", () => {
  it("gets a user as it was created", async () => {
    const client = await emptyService();
    const before = Date.now();
    const { userIds } = await client.createUsers(streamOf({ email: " Ada@Example.com", name: "Ada  Lovelace " }));
    const { user } = await client.getUser({ id: userIds[0] ?? "" });

    expect(user).toMatchObject({
      id: userIds[0],
      email: " Ada@Example.com",
      name: "Ada  Lovelace ",
      role: UserRole.USER,
      status: UserStatus.ACTIVE,
    });
    const createdAt = timestampDate(user?.createdAt as Timestamp).getTime();
    expect(createdAt).toBeGreaterThanOrEqual(before);
    expect(createdAt).toBeLessThanOrEqual(Date.now());
  });

  it("gets all that is known of a user", async () => {
    const client = await emptyService();
    const created = await createUser(client, COMPLETE);
    expect(created).toMatchObject(COMPLETE);
    expect((await client.getUser({ id: created.id })).user).toEqual(created);
  });

  it("fails with NOT_FOUND for an unknown id of any form", async () => {
    const client = await emptyService();
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
    const client = await emptyService();
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

describe("BatchGetUsers", () => {
  it("gets the users in the order of their ids", async () => {
    const client = await emptyService();
    const { userIds } = await client.createUsers(streamOf(...newUsers(5)));
    const ids = [3, 0, 4].map((index) => userIds[index] ?? "");
    const { users, missingIds } = await client.batchGetUsers({ ids });
    expect(idsOf(users)).toEqual(ids);
    expect(missingIds).toEqual([]);
    for (const user of users) expect((await client.getUser({ id: user.id })).user).toEqual(user);
  });

  it("answers an id that occurs twice twice", async () => {
    const client = await emptyService();
    const { userIds } = await client.createUsers(streamOf(...newUsers(2)));
    const ids = [0, 1, 0].map((index) => userIds[index] ?? "");
    expect(idsOf((await client.batchGetUsers({ ids })).users)).toEqual(ids);
  });

  it("lists ids that are no user's apart, in the order of the request", async () => {
    const client = await emptyService();
    const { id } = await createUser(client);
    const { users, missingIds } = await client.batchGetUsers({ ids: ["zed", id, "☃", id, "zed"] });
    expect(idsOf(users)).toEqual([id, id]);
    expect(missingIds).toEqual(["zed", "☃", "zed"]);
  });

  it("lists the id of a user who has been deleted among the missing", async () => {
    const client = await emptyService();
    const { id } = await createUser(client);
    await client.deleteUser({ id });
    expect(await client.batchGetUsers({ ids: [id] })).toMatchObject({ users: [], missingIds: [id] });
  });

  it("gets nobody for no ids", async () => {
    expect(await (await emptyService()).batchGetUsers({})).toMatchObject({ users: [], missingIds: [] });
  });

  it("gets 1000 users at once, and fails with INVALID_ARGUMENT for one more", async () => {
    const client = await emptyService();
    const { userIds } = await client.createUsers(streamOf(...newUsers(1001)));
    const ids = userIds.slice(0, 1000).toReversed();
    expect(idsOf((await client.batchGetUsers({ ids })).users)).toEqual(ids);
    expect(await failureOf(client.batchGetUsers({ ids: userIds }))).toMatchObject({
      code: "InvalidArgument",
      reason: "INVALID_REQUEST",
      violations: ["ids: REPEATED_MAX_ITEMS"],
    });
  });

  it("fails with INVALID_ARGUMENT for an empty id and for one above 128 bytes", async () => {
    const client = await emptyService();
    expect(await failureOf(client.batchGetUsers({ ids: ["fine", "", "é".repeat(65)] }))).toMatchObject({
      code: "InvalidArgument",
      violations: ["ids[1]: STRING_MIN_BYTES", "ids[2]: STRING_MAX_BYTES"],
    });
    await expect(client.batchGetUsers({ ids: ["é".repeat(64)] })).resolves.toMatchObject({ users: [] });
  });

  it("fails with RESOURCE_EXHAUSTED for more than clients receive in one message, and never above that", async () => {
    const client = await emptyService();
    const ids = await createLargeUsers(client, 100);
    expect(await failureOf(client.batchGetUsers({ ids }))).toMatchObject({
      code: "ResourceExhausted",
      reason: "RESPONSE_TOO_LARGE",
      domain: "user.v1",
    });
    expect((await client.batchGetUsers({ ids: ids.slice(0, 50) })).users).toHaveLength(50);
  });
});
