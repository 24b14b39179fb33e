import { setImmediate } from "node:timers/promises";
import { Client } from "pg";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { ChangesExpiredError } from "../../../src/domain/errors.ts";
import type { ChangeRetention } from "../../../src/repository/change-log.ts";
import type { Database } from "../../../src/repository/postgres/database.ts";
import { openStore } from "../../../src/repository/postgres/store.ts";
import { cleanUp, type UpkeepRetention } from "../../../src/repository/postgres/upkeep.ts";
import type { UserRepository } from "../../../src/repository/user-repository.ts";
import { freshDatabase, query } from "../../support/database.ts";
import { FULL } from "../../support/full.ts";
import { Random } from "../../support/random.ts";
import { openDatabase, testStores } from "../../support/store.ts";
import { changed, createOne, draft, drafts, errorOf, RETENTION, SCOPE } from "../suite/drafts.ts";

/** What is kept, with these limits on changes. */
function keeping(changes: Partial<ChangeRetention>): UpkeepRetention {
  return { changes: { ...RETENTION, ...changes }, texts: RETENTION };
}

/** So many rows go at a time. */
const SLICE = 5000;

/** How many write at once, and how often each of them does. */
const WRITERS = 4;
const WRITES = FULL ? 30 : 10;

const emptyStore = testStores();

/** Another replica on a database, which is closed after the test. */
async function openReplica(url: string): Promise<Database> {
  const database = await openDatabase(url);
  onTestFinished(() => database.close());
  return database;
}

/** A store in which these many changes have been made, from revision 1 on, and what cleans it up as a replica does. */
async function storeWith(changes: number) {
  const { url, users, upkeep } = await emptyStore();
  const database = await upkeep();
  await query(
    url,
    `INSERT INTO changes (revision, user_id, kind, changed_at)
    SELECT nextval('changes_revision_seq'), 'somebody', 'updated', now() FROM generate_series(1, ${changes})`,
  );
  const clean = (retention: Partial<ChangeRetention>) => cleanUp(database, keeping(retention), SCOPE);
  return { url, users, clean };
}

/** Makes changes as old as this. */
async function age(url: string, minutes: number, condition: string): Promise<void> {
  await query(url, `UPDATE changes SET changed_at = now() - interval '${minutes} minutes' WHERE ${condition}`);
}

/** The revisions that a reader gets who goes on after one; undefined if some are no longer kept. */
async function readAfter({ changes }: UserRepository, after: number): Promise<number[] | undefined> {
  try {
    return (await changes.list({ after, limit: 1_000_000 }, SCOPE)).map(({ revision }) => revision);
  } catch (error) {
    expect(error).toBeInstanceOf(ChangesExpiredError);
    return undefined;
  }
}

/** Whole numbers from `first` to `last`, both included. */
function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(last - first + 1, 0) }, (_, index) => first + index);
}

/** Expects that changes are kept from `first` on, and that those who may have missed one are told so. */
async function expectKeptFrom(first: number, last: number, users: UserRepository): Promise<void> {
  expect(await readAfter(users, first - 1)).toEqual(range(first, last));
  expect(await readAfter(users, last)).toEqual([]);
  if (first > 1) expect(await readAfter(users, first - 2)).toBeUndefined();
  if (first > 1) expect(await readAfter(users, 0)).toBeUndefined();
  expect(await users.changes.latest(SCOPE)).toBe(last);
}

describe("cleanUp, when there are many changes", () => {
  it("leaves them if there are as many as are kept", async () => {
    const { users, clean } = await storeWith(10);
    await clean({ maxCount: 10 });
    await expectKeptFrom(1, 10, users);
  });

  it("forgets the oldest of more", async () => {
    const { users, clean } = await storeWith(10);
    await clean({ maxCount: 9 });
    await expectKeptFrom(2, 10, users);
    await clean({ maxCount: 3 });
    await expectKeptFrom(8, 10, users);
    await clean({ maxCount: 1 });
    await expectKeptFrom(10, 10, users);
  });

  it("brings back nothing when more are kept from now on", async () => {
    const { users, clean } = await storeWith(10);
    await clean({ maxCount: 3 });
    await clean({ maxCount: 9 });
    await expectKeptFrom(8, 10, users);
  });

  it("leaves an empty log as it is", async () => {
    const { users, clean } = await storeWith(0);
    await clean({ maxCount: 1, maxAgeMs: 0 });
    await expectKeptFrom(1, 0, users);
    await createOne(users, "ada@example.com");
    await expectKeptFrom(1, 1, users);
  });

  it.each([SLICE - 1, SLICE, SLICE + 1, ...(FULL ? [2 * SLICE] : []), 2 * SLICE + 1])(
    "forgets %i of them, some at a time",
    async (count) => {
      const { users, clean } = await storeWith(count + 2);
      await clean({ maxCount: 2 });
      await expectKeptFrom(count + 1, count + 2, users);
    },
  );
});

describe("cleanUp, when changes are old", () => {
  it("forgets those that are too old", async () => {
    const { url, users, clean } = await storeWith(10);
    await age(url, 59, "revision <= 6");
    await age(url, 61, "revision <= 4");
    await clean({ maxAgeMs: 3_600_000 });
    await expectKeptFrom(5, 10, users);
  });

  it("forgets those that are too many even if they are young, and those that are too old even if they are few", async () => {
    const { url, users, clean } = await storeWith(10);
    await age(url, 61, "revision <= 4");
    await clean({ maxCount: 8, maxAgeMs: 3_600_000 });
    await expectKeptFrom(5, 10, users);
    await clean({ maxCount: 3, maxAgeMs: 3_600_000 });
    await expectKeptFrom(8, 10, users);
  });

  it("keeps what follows on a change that is kept, however old the clock made it", async () => {
    const { url, users, clean } = await storeWith(10);
    await age(url, 61, "revision <= 2 OR revision IN (4, 5)");
    await clean({ maxAgeMs: 3_600_000 });
    await expectKeptFrom(3, 10, users);
  });

  it.each([1, SLICE, SLICE + 1])("forgets all %i of them if all are too old, and goes on", async (count) => {
    const { url, users, clean } = await storeWith(count);
    await age(url, 61, "true");
    for (let again = 0; again < 2; again++) {
      await clean({ maxAgeMs: 3_600_000 });
      await expectKeptFrom(count + 1, count, users);
    }
    await createOne(users, "ada@example.com");
    await clean({ maxAgeMs: 3_600_000 });
    await expectKeptFrom(count + 1, count + 1, users);
  });
});

describe("cleanUp, while others use the log", () => {
  it("lets every replica do it at once", async () => {
    const last = (FULL ? 4 : 2) * SLICE;
    const { url, users, clean } = await storeWith(last);
    const replicas = await Promise.all([openReplica(url), openReplica(url), openReplica(url)]);
    const retention = { ...RETENTION, maxCount: 7 };
    await Promise.all([...replicas, ...replicas].map((database) => cleanUp(database, keeping(retention), SCOPE)));
    // Each leaves it to another who is at work, so that all may end before all is done.
    await clean(retention);
    await expectKeptFrom(last - 6, last, users);
  });

  it("leaves it to a replica that is at work, and does not wait for it", async () => {
    const { url, users, clean } = await storeWith(10);
    const client = new Client({ connectionString: url });
    onTestFinished(() => client.end());
    await client.connect();
    await client.query("BEGIN; SELECT FROM change_log FOR UPDATE");
    await clean({ maxCount: 3 });
    await client.query("COMMIT");
    await expectKeptFrom(1, 10, users);
    await clean({ maxCount: 3 });
    await expectKeptFrom(8, 10, users);
  });

  it("gives those who read all that they ask for, or tells them that it has gone", async () => {
    const last = 2 * SLICE;
    const { users, clean } = await storeWith(last);
    const random = new Random(1);
    let cleaning = true;
    const cleaned = clean({ maxCount: 10 }).finally(() => {
      cleaning = false;
    });
    const read = async () => {
      for (let after = 0; cleaning; after = random.between(0, last)) {
        const found = await readAfter(users, after);
        // toEqual takes long for so many.
        if (found !== undefined) expect(found.join()).toBe(range(after + 1, last).join());
        expect(await users.changes.latest(SCOPE)).toBe(last);
      }
    };
    await Promise.all([cleaned, read(), read()]);
    await expectKeptFrom(last - 9, last, users);
  });

  it("hides no change from those who follow, while others write", async () => {
    const { url, users, clean } = await storeWith(0);
    const database = await openReplica(url);
    const { id } = await createOne(users, "ada@example.com");
    let writing = true;
    const write = async () => {
      for (let count = 0; count < WRITES; count++) await users.update(id, changed({}), SCOPE);
    };
    const written = Promise.all(Array.from({ length: WRITERS }, write)).finally(() => {
      writing = false;
    });
    const forget = async () => {
      while (writing) {
        await Promise.all([clean({ maxCount: 5 }), cleanUp(database, keeping({ maxCount: 5 }), SCOPE)]);
      }
    };
    const follow = async () => {
      for (let after = 0; writing; ) {
        const found = await readAfter(users, after);
        if (found !== undefined) expect(found).toEqual(range(after + 1, after + found.length));
        after = found === undefined ? await users.changes.latest(SCOPE) : after + found.length;
      }
    };
    await Promise.all([written, forget(), follow(), follow()]);
    const last = 1 + WRITERS * WRITES;
    await clean({ maxCount: 5 });
    await expectKeptFrom(last - 4, last, users);
  });
});

describe("cleanUp, when uploads have expired", () => {
  it("forgets those that expired a week ago, and leaves the others", async () => {
    const { url, clean } = await storeWith(0);
    await query(
      url,
      `INSERT INTO uploads (key, fingerprint, expires_at)
      SELECT sha256(days::text::bytea), days::text, now() - days * interval '1 day' FROM unnest(ARRAY[-1, 6, 8]) AS days`,
    );
    await clean({});
    expect(await query(url, "SELECT fingerprint FROM uploads ORDER BY expires_at DESC")).toEqual([
      { fingerprint: "-1" },
      { fingerprint: "6" },
    ]);
  });
});

describe("cleanUp, when requests have expired", () => {
  it("forgets those that expired a day ago, and knows the others", async () => {
    const { url, users, clean } = await storeWith(0);
    const requested = (name: string) => ({
      ...draft(`${name}@example.com`),
      request: { caller: "alice", id: name, fingerprint: "of the content" },
    });
    const [ada] = await users.create([requested("ada")], SCOPE);
    const [bob] = await users.create([requested("bob")], SCOPE);
    const [eve] = await users.create([requested("eve")], SCOPE);
    const expire = (hoursAgo: number, user: typeof ada) =>
      query(
        url,
        `UPDATE creation_requests SET expires_at = now() - interval '${hoursAgo} hours' WHERE user_id = '${user?.id}'`,
      );
    await expire(23, bob);
    await expire(25, eve);

    await clean({});
    expect(await query(url, "SELECT user_id FROM creation_requests ORDER BY user_id")).toEqual([
      { user_id: ada?.id },
      { user_id: bob?.id },
    ]);
    expect(await users.create([requested("ada")], SCOPE)).toEqual([ada]);
    expect(await errorOf(users.create([requested("bob")], SCOPE))).toMatchObject({ name: "TakenError" });
  });

  it("forgets any number of them, some at a time, and all replicas may do it at once", async () => {
    const { url, clean } = await storeWith(0);
    const database = await openReplica(url);
    await query(
      url,
      `INSERT INTO creation_requests (key, fingerprint, user_id, expires_at)
      SELECT sha256(n::text::bytea), '', 'somebody', now() - interval '25 hours' FROM generate_series(1, ${2 * SLICE}) AS n`,
    );
    await Promise.all([clean({}), cleanUp(database, keeping({}), SCOPE)]);
    await clean({});
    expect(await query(url, "SELECT FROM creation_requests")).toEqual([]);
  });
});

describe("a store", () => {
  /** Opens a store whose clock for what is done now and then stands still. */
  async function openStoppedStore(maxCount: number) {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    onTestFinished(() => void vi.useRealTimers());
    const url = await freshDatabase();
    const { promise: found, resolve: onFound, reject: onLost } = Promise.withResolvers<void>();
    const { promise: failed, resolve: onUpkeepFailed } = Promise.withResolvers<unknown>();
    const retention = { ...RETENTION, maxCount };
    const store = openStore(
      { url, poolSize: 4, retention, chatRetention: RETENTION },
      { onFound, onLost, onUpkeepFailed },
    );
    let closed: Promise<void> | undefined;
    const close = () => (closed ??= store.close());
    onTestFinished(close);
    await found;
    return { url, users: store.users, failed, close };
  }

  it("cleans up each minute", async () => {
    const { users } = await openStoppedStore(3);
    for (let minute = 1; minute <= 2; minute++) {
      await users.create(drafts(10, `${minute}`), SCOPE);
      expect(await readAfter(users, 10 * minute - 9)).toHaveLength(9);
      vi.advanceTimersByTime(60_000);
      while ((await readAfter(users, 10 * minute - 9)) !== undefined);
      await expectKeptFrom(10 * minute - 2, 10 * minute, users);
    }
  });

  it("tells that it could not clean up, and tries again after a minute", async () => {
    const { url, users, failed } = await openStoppedStore(3);
    await users.create(drafts(10), SCOPE);
    await query(url, "ALTER TABLE changes RENAME TO elsewhere");
    vi.advanceTimersByTime(60_000);
    expect(String(await failed)).toContain("forget_changes");
    await query(url, "ALTER TABLE elsewhere RENAME TO changes");
    vi.advanceTimersByTime(60_000);
    while ((await readAfter(users, 0)) !== undefined);
    await expectKeptFrom(8, 10, users);
  });

  it("says nothing of a clean-up that its end interrupts", async () => {
    const { users, failed, close } = await openStoppedStore(3);
    await users.create(drafts(10), SCOPE);
    const told = vi.fn();
    void failed.then(told);
    vi.advanceTimersByTime(60_000);
    await close();
    await setImmediate();
    expect(told).not.toHaveBeenCalled();
  });
});
