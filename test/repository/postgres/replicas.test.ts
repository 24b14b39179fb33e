import { describe, expect, it } from "vitest";
import { UserStatus } from "../../../src/gen/user/v1/user_pb.ts";
import { freshDatabase } from "../../support/database.ts";
import { failureOf } from "../../support/errors.ts";
import { FULL } from "../../support/full.ts";
import { emptyReplicas } from "../../support/replicas.ts";
import { newUsers, servingTestServer, streamOf, type TestServer, userClient } from "../../support/server.ts";
import { createUser, getUser, idsOf, listUsers, type UserClient, updateUser } from "../../user-service/users.ts";

const ROUNDS = FULL ? 500 : 5;
const REQUEST_ID = "0b9f1c7e-52c4-4d3a-9f0e-7a1b2c3d4e5f";

type Pair<T> = readonly [T, T];

const empty = emptyReplicas(2);

describe("two replicas on one database, without a PAGE_TOKEN_KEY", () => {
  it("continue each other's listings", async () => {
    const [one, other] = clientsOf(await emptyPair());
    const { userIds } = await one.createUsers(streamOf(...newUsers(30)));
    const first = await listUsers(one, { pageSize: 10 });
    const second = await listUsers(other, { pageSize: 10, pageToken: first.next ?? "" });
    const third = await listUsers(one, { pageSize: 10, pageToken: second.next ?? "" });
    expect([first, second, third].flatMap(({ users }) => idsOf(users))).toEqual(userIds);
  });

  it("know each other's requests", async () => {
    const [one, other] = clientsOf(await emptyPair());
    const user = await createUser(one, { requestId: REQUEST_ID });
    expect(await createUser(other, { requestId: REQUEST_ID })).toEqual(user);
    expect(await failureOf(createUser(other, { requestId: REQUEST_ID, name: "another" }))).toMatchObject({
      violations: ["request_id: REQUEST_ID_REUSED"],
    });
    expect((await listUsers(one)).users).toEqual([user]);
  });

  it("show each other's writes at once", async () => {
    const [one, other] = clientsOf(await emptyPair());
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
    const [one, other] = await emptyPair();
    const admin = userClient(one);
    const { id } = await createUser(admin);
    const own = userClient(other, { id, role: "user" });
    for (let round = 0; round < ROUNDS; round++) {
      expect((await getUser(own, id)).status).toBe(UserStatus.ACTIVE);
      await updateUser(admin, { id, status: UserStatus.SUSPENDED }, "status");
      expect(await failureOf(getUser(own, id))).toMatchObject({ reason: "CALLER_SUSPENDED" });
      await updateUser(admin, { id, status: UserStatus.ACTIVE }, "status");
    }
  });

  it("create one user when both are asked at once for the same e-mail address", async () => {
    const [one, other] = clientsOf(await emptyPair());
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
    const [one, other] = clientsOf(await emptyPair());
    const users = await Promise.all([one, other].map((client) => createUser(client, { requestId: REQUEST_ID })));
    expect(users[0]).toEqual(users[1]);
    expect((await listUsers(one)).users).toHaveLength(1);
  });

  it("keep users, page tokens and requests when both are stopped and started again", async () => {
    const url = await freshDatabase();
    const servers = await startServers(url);
    const [before] = clientsOf(servers);
    const user = await createUser(before, { requestId: REQUEST_ID });
    const { userIds } = await before.createUsers(streamOf(...newUsers(9)));
    const first = await listUsers(before, { pageSize: 5 });
    await Promise.all(servers.map(({ server }) => server.stop()));

    for (const after of clientsOf(await startServers(url))) {
      const rest = await listUsers(after, { pageToken: first.next ?? "" });
      expect(idsOf([...first.users, ...rest.users])).toEqual([user.id, ...userIds]);
      expect(await createUser(after, { requestId: REQUEST_ID })).toEqual(user);
    }
  });
});

async function emptyPair(): Promise<Pair<TestServer>> {
  const { servers } = await empty();
  const [one, other = expect.fail("there are two")] = servers;
  return [one, other];
}

function startServers(url: string): Promise<Pair<TestServer>> {
  const start = () => servingTestServer({ environment: { DATABASE_URL: url } });
  return Promise.all([start(), start()]);
}

/** Clients of replicas, as an admin. */
function clientsOf(servers: Pair<TestServer>): Pair<UserClient> {
  const [one, other] = servers;
  return [userClient(one), userClient(other)];
}
