import { describe, expect, it, onTestFinished } from "vitest";
import { UserNotFoundError } from "../../../src/domain/errors.ts";
import { draftUser, type User } from "../../../src/domain/user.ts";
import type { UserRepository } from "../../../src/repository/user-repository.ts";
import { freshDatabase, query } from "../../support/database.ts";
import { openFound } from "../../support/store.ts";
import { createOne, everybody, outcomesOf, SCOPE } from "../suite/drafts.ts";

const CALLS = 20;

/** A store on a database whose sessions have this isolation, unless they ask for another. */
async function storeWith(isolation: string): Promise<{ url: string; users: UserRepository }> {
  const url = await freshDatabase();
  const name = new URL(url).pathname.slice(1);
  await query(url, `ALTER DATABASE ${name} SET default_transaction_isolation = '${isolation}'`);
  const { users, close } = await openFound(url);
  onTestFinished(close);
  return { url, users };
}

function olderByOne(user: User) {
  return draftUser({ ...user, age: (user.age ?? 0) + 1 });
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

describe.each(["read committed", "repeatable read", "serializable"])("where %s is the default", (isolation) => {
  it("updates of one user at once all happen, one after the other", async () => {
    const { url, users } = await storeWith(isolation);
    const { id } = await createOne(users, "ada@example.com", { age: 0 });
    const updated = await Promise.all(numbers(CALLS).map(() => users.update(id, olderByOne, SCOPE)));
    expect(updated.map(({ age }) => age).sort((one, other) => Number(one) - Number(other))).toEqual(
      numbers(CALLS).map((index) => index + 1),
    );
    expect(await users.get(id, SCOPE)).toMatchObject({ age: CALLS, version: CALLS + 1 });
    expect(await query(url, "SELECT FROM changes")).toHaveLength(CALLS + 1);
  });

  it("one of several deletions at once succeeds, and updates do until then", async () => {
    const { url, users } = await storeWith(isolation);
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
    const { users } = await storeWith(isolation);
    const { results, errors } = await outcomesOf(numbers(CALLS).map(() => createOne(users, "ada@example.com")));
    expect(results).toHaveLength(1);
    for (const error of errors) expect(error).toMatchObject({ name: "TakenError" });
    expect(await everybody(users)).toEqual(results);
  });
});
