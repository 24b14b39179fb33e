import { describe, expect, it } from "vitest";
import type { User } from "../../src/gen/user/v1/user_pb.ts";
import { failureOf } from "../support/errors.ts";
import { newUsers, streamOf } from "../support/server.ts";
import {
  COMPLETE,
  createLargeUsers,
  createUser,
  emptyServices,
  idsOf,
  listUsers,
  startClient,
  type UserClient,
} from "./users.ts";

const emptyService = emptyServices();

interface PageRequest {
  readonly pageSize?: number;
  readonly pageToken?: string;
}

/** One page of users; `next` is null at the end. */
type List = (client: UserClient, request: PageRequest) => Promise<{ users: User[]; next: string | null }>;

const LISTINGS: readonly (readonly [name: string, list: List])[] = [
  ["ListUsers", listUsers],
  [
    "ListUsersPage",
    async (client, request) => {
      const { users, nextPageToken } = await client.listUsersPage(request);
      return { users, next: nextPageToken || null };
    },
  ],
];

describe.each(LISTINGS)("%s", (_name, list) => {
  it("lists pages, oldest first, and ends without a token", async () => {
    const client = await emptyService();
    const { userIds } = await client.createUsers(streamOf(...newUsers(25)));

    const first = await list(client, { pageSize: 12 });
    const second = await list(client, { pageSize: 12, pageToken: first.next ?? "" });
    const third = await list(client, { pageSize: 12, pageToken: second.next ?? "" });
    expect([first, second, third].flatMap(({ users }) => idsOf(users))).toEqual(userIds);
    expect(third.next).toBeNull();
  });

  it("lists users with all that is known of them", async () => {
    const client = await emptyService();
    const user = await createUser(client, COMPLETE);
    expect((await list(client, {})).users).toEqual([user]);
  });

  it("sends no token when the page ends with the last user", async () => {
    const client = await emptyService();
    await client.createUsers(streamOf(...newUsers(5)));
    expect((await list(client, { pageSize: 5 })).next).toBeNull();
  });

  it("lists nobody when there are no users", async () => {
    expect(await list(await emptyService(), {})).toEqual({ users: [], next: null });
  });

  it("fails with INVALID_ARGUMENT for a negative page size", async () => {
    expect(await failureOf(list(await emptyService(), { pageSize: -1 }))).toMatchObject({
      code: "InvalidArgument",
      message: "invalid request: page_size must be greater than or equal to 0",
      reason: "INVALID_REQUEST",
      violations: ["page_size: INT32_GTE"],
    });
  });

  it("fails with INVALID_ARGUMENT for a page token above 1024 bytes", async () => {
    expect(await failureOf(list(await emptyService(), { pageToken: "x".repeat(1025) }))).toMatchObject({
      code: "InvalidArgument",
      violations: ["page_token: STRING_MAX_BYTES"],
    });
  });

  it("fails with INVALID_ARGUMENT for a forged token and for one of another service", async () => {
    const client = await emptyService();
    const other = await emptyService();
    for (const each of [client, other]) await each.createUsers(streamOf(...newUsers(2)));
    const foreign = (await list(other, { pageSize: 1 })).next ?? "";
    for (const pageToken of ["forged", foreign]) {
      expect(await failureOf(list(client, { pageToken }))).toMatchObject({
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
    const { next } = await list(client, { pageSize: 1 });
    await expect(list(replica, { pageToken: next ?? "" })).resolves.toMatchObject({ next: null });
  });

  it("neither repeats nor skips a user when others are created and deleted between two pages", async () => {
    const client = await emptyService();
    const early = await client.createUsers(streamOf(...newUsers(6, "early")));
    const first = await list(client, { pageSize: 2 });
    // The last user of the page, whom its token names, the next one, and one further on.
    for (const index of [1, 2, 4]) await client.deleteUser({ id: early.userIds[index] ?? "" });
    const late = await client.createUsers(streamOf(...newUsers(2, "late")));
    const second = await list(client, { pageSize: 10, pageToken: first.next ?? "" });
    const ids = [0, 1, 3, 5].map((index) => early.userIds[index]);
    expect([...idsOf(first.users), ...idsOf(second.users)]).toEqual([...ids, ...late.userIds]);
  });

  it("lists a user who is changed between two pages no second time", async () => {
    const client = await emptyService();
    const { userIds } = await client.createUsers(streamOf(...newUsers(4)));
    const first = await list(client, { pageSize: 2 });
    await client.updateUser({ user: { id: userIds[0] ?? "", name: "changed" } });
    const second = await list(client, { pageToken: first.next ?? "" });
    expect([...idsOf(first.users), ...idsOf(second.users)]).toEqual(userIds);
    expect((await list(client, {})).users[0]?.name).toBe("changed");
  });
});

describe("ListUsers and ListUsersPage", () => {
  it("read page size 0 as 10, and above 1000 as 1000", async () => {
    const client = await emptyService();
    await client.createUsers(streamOf(...newUsers(1001)));
    for (const [, list] of LISTINGS) {
      expect((await list(client, {})).users).toHaveLength(10);
      expect((await list(client, { pageSize: 2_000_000_000 })).users).toHaveLength(1000);
    }
  });

  it("list the same pages, and continue each other's", async () => {
    const client = await emptyService();
    await client.createUsers(streamOf(...newUsers(23)));
    let request = { pageSize: 5, pageToken: "" };
    let pages = 0;
    for (let end = false; !end; pages++) {
      const streamed = await listUsers(client, request);
      const page = await client.listUsersPage(request);
      expect(page.users).toEqual(streamed.users);
      expect(page.nextPageToken).toBe(streamed.next ?? "");
      // Continues after the stream and after the page by turns.
      const [one, other] = [streamed.next ?? "", page.nextPageToken];
      request = { ...request, pageToken: pages % 2 === 0 ? one : other };
      end = request.pageToken === "";
    }
    expect(pages).toBe(5);
  });
});

describe("ListUsersPage", () => {
  it("ends a page where clients could not receive more, and goes on with the next", async () => {
    const client = await emptyService();
    const ids = await createLargeUsers(client, 300);
    const read: User[] = [];
    let pageToken = "";
    do {
      const page = await client.listUsersPage({ pageSize: 1000, pageToken });
      expect(page.users.length).toBeGreaterThan(0);
      read.push(...page.users);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(idsOf(read)).toEqual(ids);
  });
});

describe("ListUsers with stream_all", () => {
  it("streams all users, oldest first and however many they are, and no token", async () => {
    const client = await emptyService();
    const ids: string[] = [];
    for (const count of [0, 1, 1000, 1001, 2000]) {
      const more = newUsers(count).slice(ids.length);
      if (more.length > 0) ids.push(...(await client.createUsers(streamOf(...more))).userIds);
      const { users, next } = await listUsers(client, { streamAll: true });
      expect(idsOf(users), `${count} users`).toEqual(ids);
      expect(next).toBeNull();
    }
  });

  it("streams users with all that is known of them, before and after they were got", async () => {
    const client = await emptyService();
    const created = await createUser(client, COMPLETE);
    expect((await listUsers(client, { streamAll: true })).users).toEqual([created]);
    expect((await client.getUser({ id: created.id })).user).toEqual(created);
    expect((await listUsers(client, { streamAll: true })).users).toEqual([created]);
  });

  it("starts where a page token says, of either method", async () => {
    const client = await emptyService();
    const { userIds } = await client.createUsers(streamOf(...newUsers(1100)));
    const streamed = await listUsers(client, { pageSize: 7 });
    const page = await client.listUsersPage({ pageSize: 7 });
    for (const pageToken of [streamed.next ?? "", page.nextPageToken]) {
      const { users, next } = await listUsers(client, { streamAll: true, pageToken });
      expect(idsOf(users)).toEqual(userIds.slice(7));
      expect(next).toBeNull();
    }
  });

  it("takes no notice of the page size, but refuses one that is negative", async () => {
    const client = await emptyService();
    const { userIds } = await client.createUsers(streamOf(...newUsers(20)));
    for (const pageSize of [1, 5000])
      expect(idsOf((await listUsers(client, { streamAll: true, pageSize })).users)).toEqual(userIds);
    expect(await failureOf(listUsers(client, { streamAll: true, pageSize: -1 }))).toMatchObject({
      violations: ["page_size: INT32_GTE"],
    });
  });

  it("fails with INVALID_ARGUMENT for a page token that this service did not make", async () => {
    const client = await emptyService();
    expect(await failureOf(listUsers(client, { streamAll: true, pageToken: "forged" }))).toMatchObject({
      code: "InvalidArgument",
      violations: ["page_token: PAGE_TOKEN_INVALID"],
    });
  });

  it("streams every user once who is neither created nor deleted meanwhile", async () => {
    const client = await emptyService();
    const count = 2500;
    const name = "x".repeat(500);
    const { userIds } = await client.createUsers(streamOf(...newUsers(count).map((user) => ({ ...user, name }))));
    // Those who end a page of the service, their neighbours, and the ends.
    const deleted = [0, 998, 999, 1000, 1998, 1999, 2000, count - 1].map((index) => userIds[index] ?? "");

    const seen: string[] = [];
    for await (const { id } of client.listUsers({ streamAll: true })) {
      // Far more is to come than is under way.
      if (seen.length === 0) {
        for (const each of deleted) await client.deleteUser({ id: each });
        await client.createUsers(streamOf(...newUsers(10, "late")));
      }
      seen.push(id);
    }

    expect(new Set(seen).size, "users seen twice").toBe(seen.length);
    const untouched = new Set(userIds.filter((id) => !deleted.includes(id)));
    expect(seen.filter((id) => untouched.has(id))).toEqual([...untouched]);
  });
});
