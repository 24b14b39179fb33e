import { type Client, createClient } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { FULL } from "../support/full.ts";
import { newUsers, startTestServer, streamOf, type TestServer, transportTo } from "../support/server.ts";

const USERS = FULL ? 200_000 : 2000;
const USERS_PER_CALL = FULL ? 10_000 : 1000;
const PAGE_SIZE = FULL ? 1000 : 97;
const TIMED_PAGES = 2000;

type Users = Client<typeof UserService>;

describe("a listing of many users", () => {
  it("shows each of them once while others are being created", async () => {
    const server = await startTestServer();
    const client = createClient(UserService, transportTo(server));
    const before = await createMany(server);

    const seen: string[] = [];
    const creations: Promise<unknown>[] = [];
    let page: Page = { ids: [], next: "" };
    do {
      // Not more than a page shows, for else the listing would never catch up.
      const others = newUsers(PAGE_SIZE / 2, `page${creations.length}-`);
      creations.push(client.createUsers(streamOf(...others)));
      page = await readPage(client, PAGE_SIZE, page.next);
      seen.push(...page.ids);
    } while (page.next !== "");
    await Promise.all(creations);

    expect(new Set(seen).size, "users seen twice").toBe(seen.length);
    expect(seen.slice(0, before.length)).toEqual(before);
    expect(seen, "nothing was created meanwhile").not.toHaveLength(before.length);
  });

  // Times mean something only in relation to others of the same run, and only over many calls.
  it.runIf(FULL)("costs the same at its end as at its beginning", async () => {
    const server = await startTestServer();
    const client = createClient(UserService, transportTo(server));
    await createMany(server);
    let deep = "";
    for (let next = (await readPage(client, 1000, "")).next; next !== ""; ) {
      deep = next;
      ({ next } = await readPage(client, 1000, next));
    }

    const times = { first: [] as number[], deep: [] as number[] };
    for (let round = 0; round < TIMED_PAGES; round++) {
      times.first.push(await timeOf(() => readPage(client, 10, "")));
      times.deep.push(await timeOf(() => readPage(client, 10, deep)));
    }
    const ratio = median(times.deep) / median(times.first);
    console.info(`first page ${median(times.first)} ms, deep page ${median(times.deep)} ms, ratio ${ratio}`);
    expect(ratio).toBeLessThan(1.5);
  });
});

interface Page {
  readonly ids: string[];
  /** The token of the next page; empty at the end. */
  readonly next: string;
}

async function readPage(client: Users, pageSize: number, pageToken: string): Promise<Page> {
  let next = "";
  const page = client.listUsers(
    { pageSize, pageToken },
    {
      onTrailer(trailer) {
        next = trailer.get("x-next-page-token") ?? "";
      },
    },
  );
  return { ids: await Array.fromAsync(page, ({ id }) => id), next };
}

/** Creates USERS users, and returns their ids in the order of creation. */
async function createMany(server: TestServer): Promise<string[]> {
  const client = createClient(UserService, transportTo(server));
  const ids: string[] = [];
  while (ids.length < USERS) {
    const { userIds } = await client.createUsers(streamOf(...newUsers(USERS_PER_CALL, `early${ids.length}-`)));
    ids.push(...userIds);
  }
  return ids;
}

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1] ?? Number.NaN;
}
