import { describe, expect, it } from "vitest";
import { UserNotFoundError } from "../../../src/domain/errors.ts";
import { draftUser, type User } from "../../../src/domain/user.ts";
import type { Store } from "../../../src/repository/postgres/store.ts";
import { query } from "../../support/database.ts";
import { FULL } from "../../support/full.ts";
import { openFound, testStores } from "../../support/store.ts";
import { createOne, everybody, outcomesOf, SCOPE } from "../suite/drafts.ts";

/** How many calls there are of a kind at once: as many as a store has connections in the short form. */
const CALLS = FULL ? 20 : 10;

/** Opens a store on a database whose sessions have this isolation from now on, unless they ask for another. */
async function openWith(isolation: string, url: string): Promise<Store> {
  const name = new URL(url).pathname.slice(1);
  await query(url, `ALTER DATABASE ${name} SET default_transaction_isolation = '${isolation}'`);
  return openFound(url);
}

function olderByOne(user: User) {
  return draftUser({ ...user, age: (user.age ?? 0) + 1 });
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

describe.each(["read committed", "repeatable read", "serializable"])("where %s is the default", (isolation) => {
  const emptyStore = testStores((url) => openWith(isolation, url));

  it("updates of one user at once all happen, one after the other", async () => {
    const { url, users } = await emptyStore();
    const { id } = await createOne(users, "ada@example.com", { age: 0 });
    const updated = await Promise.all(numbers(CALLS).map(() => users.update(id, olderByOne, SCOPE)));
    expect(updated.map(({ age }) => age).sort((one, other) => Number(one) - Number(other))).toEqual(
      numbers(CALLS).map((index) => index + 1),
    );
    expect(await users.get(id, SCOPE)).toMatchObject({ age: CALLS, version: CALLS + 1 });
    expect(await query(url, "SELECT FROM changes")).toHaveLength(CALLS + 1);
  });

  it("one of several deletions at once succeeds, and updates do until then", async () => {
    const { url, users } = await emptyStore();
    const { id } = await createOne(users, "ada@example.com", { age: 0 });
    const update = () => users.update(id, olderByOne, SCOPE);
    const remove = () => users.delete(id, () => {}, SCOPE);
    const [updates, deletions] = await Promise.all([
      outcomesOf(numbers(CALLS).map(update)),
      outcomesOf(numbers(CALLS).map(remove)),
    ]);
    expect(deletions.results).toHaveLength(1);
    for (const error of [...updates.errors, ...deletions.errors]) expect(error).toBeInstanceOf(UserNotFoundError);
    expect(await everybody(users)).toEqual([]);
    const kinds = await query<{ kind: string }>(url, "SELECT kind FROM changes ORDER BY revision");
    expect(kinds.map(({ kind }) => kind)).toEqual(["created", ...updates.results.map(() => "updated"), "deleted"]);
  });

  it("one of several creations at once with an e-mail address succeeds", async () => {
    const { users } = await emptyStore();
    const { results, errors } = await outcomesOf(numbers(CALLS).map(() => createOne(users, "ada@example.com")));
    expect(results).toHaveLength(1);
    for (const error of errors) expect(error).toMatchObject({ name: "TakenError" });
    expect(await everybody(users)).toEqual(results);
  });
});
