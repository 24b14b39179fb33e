import { describe, expect, it } from "vitest";
import { listAll } from "../../src/client/list-all.ts";
import { createFake, unavailable } from "../../src/testing/testing.ts";
import { publishedClient } from "../support/client.ts";
import { failureOf } from "../support/errors.ts";
import { collect, newUsers, startTestServer } from "../support/server.ts";

describe("listAll", () => {
  it("lists everybody, over as many pages as it takes", async () => {
    const server = await startTestServer();
    const client = publishedClient(server);
    const { userIds } = await client.createUsers(newUsers(25));
    expect((await collect(listAll(client, { pageSize: 10 }))).map(({ id }) => id)).toEqual(userIds);
    expect(server.logs.calls("ListUsersPage")).toHaveLength(3);
  });

  it("yields nothing where there is nobody", async () => {
    expect(await collect(listAll(publishedClient(await startTestServer())))).toEqual([]);
  });

  it("asks for no page before it is wanted", async () => {
    const server = await startTestServer();
    const client = publishedClient(server);
    await client.createUsers(newUsers(3));
    for await (const _ of listAll(client, { pageSize: 1 })) break;
    expect(server.logs.calls("ListUsersPage")).toHaveLength(1);
  });

  it("goes on with a page where another listing stopped", async () => {
    const client = publishedClient(await startTestServer());
    const { userIds } = await client.createUsers(newUsers(7));
    const first = listAll(client, { pageSize: 3 });
    let read = 0;
    for await (const _ of first) if (++read === 4) break;
    const rest = await collect(listAll(client, { pageSize: 3, pageToken: first.pageToken }));
    expect(rest.map(({ id }) => id)).toEqual(userIds.slice(3));
  });

  it("is not disturbed by a page that fails with UNAVAILABLE for a moment", async () => {
    await using fake = await createFake({
      listUsersPage: [
        async () => ({ users: [{ id: "ada" }], nextPageToken: "more" }),
        unavailable(),
        async ({ pageToken }) => ({ users: [{ id: pageToken }] }),
      ],
    });
    expect((await collect(listAll(publishedClient(fake)))).map(({ id }) => id)).toEqual(["ada", "more"]);
  });

  it("ends with the caller's signal", async () => {
    const client = publishedClient(await startTestServer());
    const listing = collect(listAll(client, { signal: AbortSignal.abort() }));
    expect(await failureOf(listing)).toMatchObject({ code: "Canceled" });
  });
});
