import { describe, expect, it, onTestFinished } from "vitest";
import { UserStatus } from "../../../src/gen/user/v1/user_pb.ts";
import { freshDatabase } from "../../support/database.ts";
import { failureOf } from "../../support/errors.ts";
import { FULL } from "../../support/full.ts";
import { newUsers, servingTestServer, streamOf, type TestServer, userClient } from "../../support/server.ts";
import { createUser, getUser, idsOf, listUsers, type UserClient, updateUser } from "../../user-service/users.ts";

const ROUNDS = FULL ? 500 : 10;
const REQUEST_ID = "0b9f1c7e-52c4-4d3a-9f0e-7a1b2c3d4e5f";

describe("two replicas on one database, without a PAGE_TOKEN_KEY", () => {
  it("continue each other's listings", async () => {
    const [one, other] = await startReplicas();
    const { userIds } = await one.createUsers(streamOf(...newUsers(30)));
    const first = await listUsers(one, { pageSize: 10 });
    const second = await listUsers(other, { pageSize: 10, pageToken: first.next ?? "" });
    const third = await listUsers(one, { pageSize: 10, pageToken: second.next ?? "" });
    expect([first, second, third].flatMap(({ users }) => idsOf(users))).toEqual(userIds);
  });

  it("know each other's requests", async () => {
    const [one, other] = await startReplicas();
    const user = await createUser(one, { requestId: REQUEST_ID });
    expect(await createUser(other, { requestId: REQUEST_ID })).toEqual(user);
    expect(await failureOf(createUser(other, { requestId: REQUEST_ID, name: "another" }))).toMatchObject({
      violations: ["request_id: REQUEST_ID_REUSED"],
    });
    expect((await listUsers(one)).users).toEqual([user]);
  });

  it("show each other's writes at once", async () => {
    const [one, other] = await startReplicas();
    const created = await createUser(one);
    const { id } = created;
    expect(await getUser(other, id)).toEqual(created);
    for (let round = 0; round < ROUNDS; round++) {
      const [writer, reader] = round % 2 === 0 ? [one, other] : [other, one];
      const updated = await updateUser(writer, { id, name: `round ${round}` }, "name");
      expect(await getUser(reader, id)).toEqual(updated);
    }
    await one.deleteUser({ id });
    expect(await failureOf(getUser(other, id))).toMatchObject({ code: "NotFound" });
  });

  it("refuse at once who is suspended through the other, and admit them again", async () => {
    const servers = await startServers(await freshDatabase());
    const [admin] = servers.map((server) => userClient(server)) as Pair<UserClient>;
    const { id } = await createUser(admin);
    const [, own] = servers.map((server) => userClient(server, { id, role: "user" })) as Pair<UserClient>;
    for (let round = 0; round < ROUNDS; round++) {
      expect((await getUser(own, id)).status).toBe(UserStatus.ACTIVE);
      await updateUser(admin, { id, status: UserStatus.SUSPENDED }, "status");
      expect(await failureOf(getUser(own, id))).toMatchObject({ reason: "CALLER_SUSPENDED" });
      await updateUser(admin, { id, status: UserStatus.ACTIVE }, "status");
    }
  });

  it("create one user when both are asked at once for the same e-mail address", async () => {
    const [one, other] = await startReplicas();
    for (let round = 0; round < ROUNDS; round++) {
      const email = `round${round}@example.com`;
      const calls = [createUser(one, { email }), createUser(other, { email })];
      const settled = await Promise.allSettled(calls);
      const refused = calls.filter((_, index) => settled[index]?.status === "rejected");
      expect(refused).toHaveLength(1);
      expect(await Promise.all(refused.map(failureOf))).toMatchObject([{ reason: "EMAIL_TAKEN" }]);
    }
    expect((await listUsers(one, { pageSize: 1000 })).users).toHaveLength(ROUNDS);
  });

  it("create one user when both are sent the same request at once", async () => {
    const [one, other] = await startReplicas();
    const users = await Promise.all([one, other].map((client) => createUser(client, { requestId: REQUEST_ID })));
    expect(users[0]).toEqual(users[1]);
    expect((await listUsers(one)).users).toHaveLength(1);
  });

  it("keep users, page tokens and requests when both are stopped and started again", async () => {
    const url = await freshDatabase();
    const servers = await startServers(url);
    const [before] = servers.map((server) => userClient(server)) as Pair<UserClient>;
    const user = await createUser(before, { requestId: REQUEST_ID });
    const { userIds } = await before.createUsers(streamOf(...newUsers(9)));
    const first = await listUsers(before, { pageSize: 5 });
    await Promise.all(servers.map(({ server }) => server.stop()));

    for (const after of await startReplicas(url)) {
      const rest = await listUsers(after, { pageToken: first.next ?? "" });
      expect(idsOf([...first.users, ...rest.users])).toEqual([user.id, ...userIds]);
      expect(await createUser(after, { requestId: REQUEST_ID })).toEqual(user);
    }
  });
});

type Pair<T> = [T, T];

async function startServers(url: string): Promise<Pair<TestServer>> {
  const options = { environment: { DATABASE_URL: url } };
  const servers = await Promise.all([servingTestServer(options), servingTestServer(options)]);
  // Both at once: each of them waits for its clients.
  onTestFinished(async () => {
    await Promise.all(servers.map(({ server }) => server.stop()));
  });
  return servers;
}

/** Clients of two replicas, as an admin. */
async function startReplicas(url?: string): Promise<Pair<UserClient>> {
  const [one, other] = await startServers(url ?? (await freshDatabase()));
  return [userClient(one), userClient(other)];
}
