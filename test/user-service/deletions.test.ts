import { describe, expect, it } from "vitest";
import { failureOf } from "../support/errors.ts";
import { newUsers, startTestServer, streamOf, userClient } from "../support/server.ts";
import { createUser, emptyServices, getUser, idsOf, listUsers, updateUser } from "./users.ts";

const emptyService = emptyServices();

const MISMATCH = {
  code: "Aborted",
  message: "the user has changed meanwhile",
  reason: "ETAG_MISMATCH",
  domain: "user.v1",
};

describe("DeleteUser", () => {
  it("deletes a user", async () => {
    const client = await emptyService();
    const { userIds } = await client.createUsers(streamOf(...newUsers(3)));
    const [first, id = "", third] = userIds;
    expect((await client.deleteUser({ id })).success).toBe(true);

    expect(await failureOf(client.getUser({ id }))).toMatchObject({ code: "NotFound" });
    expect((await client.batchGetUsers({ ids: [id] })).missingIds).toEqual([id]);
    expect(idsOf((await listUsers(client)).users)).toEqual([first, third]);
    expect(idsOf((await listUsers(client, { streamAll: true })).users)).toEqual([first, third]);
    expect(idsOf((await client.listUsersPage({})).users)).toEqual([first, third]);
  });

  it("fails with NOT_FOUND the second time, and for an id that never was", async () => {
    const client = await emptyService();
    const { id } = await createUser(client);
    await client.deleteUser({ id });
    for (const gone of [id, "nobody ☃"]) {
      expect(await failureOf(client.deleteUser({ id: gone }))).toMatchObject({
        code: "NotFound",
        message: "no such user",
        reason: "USER_NOT_FOUND",
        domain: "user.v1",
        resource: `user.v1.User/${gone}`,
      });
    }
  });

  it("fails with NOT_FOUND for a user who is gone, whatever the etag", async () => {
    const client = await emptyService();
    const { id, etag } = await createUser(client);
    await client.deleteUser({ id });
    expect(await failureOf(client.deleteUser({ id, etag }))).toMatchObject({ code: "NotFound" });
  });

  it("fails with ABORTED when the user has another etag, and deletes nobody", async () => {
    const client = await emptyService();
    const { id, etag } = await createUser(client);
    const changed = await updateUser(client, { id, name: "changed" });
    for (const stale of [etag, "x", ` ${changed.etag}`]) {
      expect(await failureOf(client.deleteUser({ id, etag: stale }))).toMatchObject({
        ...MISMATCH,
        resource: `user.v1.User/${id}`,
      });
    }
    expect(await getUser(client, id)).toEqual(changed);
  });

  it("deletes the user who has the etag", async () => {
    const client = await emptyService();
    const { id, etag } = await createUser(client);
    expect((await client.deleteUser({ id, etag })).success).toBe(true);
  });

  it("frees e-mail address and username at once, for another user", async () => {
    const client = await emptyService();
    const fields = { email: "ada@example.com", username: "ada" };
    const first = await createUser(client, fields);
    await client.deleteUser({ id: first.id });
    const second = await createUser(client, fields);
    expect(second.id > first.id).toBe(true);
    expect(second.etag).not.toBe(first.etag);
  });

  it("fails with INVALID_ARGUMENT for an id and an etag that are too long, and for an empty id", async () => {
    const client = await emptyService();
    expect(await failureOf(client.deleteUser({ id: "é".repeat(65), etag: "é".repeat(33) }))).toMatchObject({
      code: "InvalidArgument",
      violations: ["id: STRING_MAX_BYTES", "etag: STRING_MAX_BYTES"],
    });
    expect(await failureOf(client.deleteUser({}))).toMatchObject({
      code: "InvalidArgument",
      violations: ["id: STRING_MIN_BYTES"],
    });
  });

  it("lets users delete themselves, and nobody else", async () => {
    const server = await startTestServer();
    const [ada, grace] = await Promise.all(newUsers(2).map((user) => createUser(userClient(server), user)));
    const client = userClient(server, { id: ada?.id ?? "", role: "user" });
    expect(await failureOf(client.deleteUser({ id: grace?.id ?? "" }))).toMatchObject({ code: "PermissionDenied" });
    expect((await client.deleteUser({ id: ada?.id ?? "" })).success).toBe(true);
    expect(idsOf((await listUsers(userClient(server))).users)).toEqual([grace?.id]);
  });

  it("deletes once when it is sent many times at once", async () => {
    const client = await emptyService();
    const { id } = await createUser(client);
    const calls = await Promise.allSettled(Array.from({ length: 10 }, () => client.deleteUser({ id })));
    expect(calls.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });
});
