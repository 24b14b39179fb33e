import { describe, expect, it } from "vitest";
import { query } from "../../support/database.ts";
import { openTransaction, waitingIn } from "../../support/open-transaction.ts";
import { testStores } from "../../support/store.ts";
import { changed, draft, drafts, outcomesOf, SCOPE } from "../suite/drafts.ts";
import { userRepositoryContract } from "../user-repository-suite.ts";

const emptyStore = testStores();

userRepositoryContract("PostgresUserRepository", async () => (await emptyStore()).users);

describe("PostgresUserRepository.create, when others create the same users", () => {
  it("waits for them in one line, not in a circle", async () => {
    const { url, users } = await emptyStore();
    await users.create([draft("somebody@example.com")], SCOPE);
    const other = await openTransaction(
      url,
      `INSERT INTO users SELECT (jsonb_populate_record(users, '{"id": "b", "email_key": "b@example.com"}')).* FROM users`,
    );
    const batch = ["a@example.com", "b@example.com", "c@example.com"].map((email) => draft(email));
    const outcomes = outcomesOf([users.create(batch, SCOPE), users.create(batch.toReversed(), SCOPE)]);
    const line = await waitingIn(url, 2);
    // The types of pg leave it out.
    const { processID } = other as unknown as { readonly processID: number };
    expect(line.filter(({ blockers }) => blockers.includes(processID))).toHaveLength(1);

    await other.query("ROLLBACK");
    const { results, errors } = await outcomes;
    expect(results).toHaveLength(1);
    expect(errors).toMatchObject([{ name: "TakenError", field: "email", index: 0 }]);
  });
});

describe("PostgresUserRepository.list", () => {
  it("goes on from what PostgreSQL has no text for", async () => {
    const { users } = await emptyStore();
    const [ada, bob] = await users.create(drafts(2), SCOPE);
    expect(await users.list({ after: `${ada?.id}\u0000`, limit: 9 }, SCOPE)).toEqual([bob]);
    expect(await users.list({ after: "\u0000", limit: 9 }, SCOPE)).toEqual([ada, bob]);
  });
});

describe("PostgresUserRepository.changes, when somebody else writes", () => {
  it("has what is done by hand as well", async () => {
    const { url, users } = await emptyStore();
    const [ada, bob] = await users.create(drafts(2), SCOPE);
    const after = await users.changes.latest(SCOPE);
    await query(url, `UPDATE users SET status = 'suspended' WHERE id = '${ada?.id}'`);
    await query(url, `DELETE FROM users WHERE id = '${bob?.id}'`);
    expect(await users.changes.list({ after, limit: 9 }, SCOPE)).toMatchObject([
      { userId: ada?.id, kind: "updated" },
      { userId: bob?.id, kind: "deleted" },
    ]);
  });

  it("has a transaction's changes after all that was committed before, and nobody waits for it", async () => {
    const { url, users } = await emptyStore();
    const [ada, bob, carl] = await users.create(drafts(3), SCOPE);
    const after = await users.changes.latest(SCOPE);
    const other = await openTransaction(
      url,
      `INSERT INTO users SELECT (jsonb_populate_record(users, '{"id": "eve", "email_key": "eve"}')).* FROM users LIMIT 1;
      UPDATE users SET age = 36 WHERE id = '${ada?.id}';
      DELETE FROM users WHERE id = '${bob?.id}'`,
    );
    await users.update(carl?.id ?? "", changed({ age: 36 }), SCOPE);
    const before = await users.changes.list({ after, limit: 9 }, SCOPE);
    await other.query("COMMIT");

    expect(before).toMatchObject([{ userId: carl?.id, kind: "updated" }]);
    const [{ revision } = { revision: 0 }] = before;
    expect(await users.changes.list({ after: revision, limit: 9 }, SCOPE)).toMatchObject([
      { userId: "eve", kind: "created" },
      { userId: ada?.id, kind: "updated" },
      { userId: bob?.id, kind: "deleted" },
    ]);
  });
});
