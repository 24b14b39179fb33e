import { expect, it } from "vitest";
import { openTransaction, waitingIn } from "../../support/open-transaction.ts";
import { testStores } from "../../support/store.ts";
import { importsContract } from "../imports-suite.ts";
import { createOne, SCOPE } from "../suite/drafts.ts";
import { NOTHING, row, UPLOAD } from "../suite/import-rows.ts";

const emptyStore = testStores();

importsContract("PostgresImports", emptyStore);

it("knows a user again who takes address and username while the import waits for another one", async () => {
  const { url, users, imports } = await emptyStore();
  await createOne(users, "ada@example.com");
  const bob = await createOne(users, "bob@old.example.com", { username: "bob" });
  const other = await openTransaction(
    url,
    `SELECT FROM users WHERE email_key = 'ada@example.com' FOR UPDATE;
     UPDATE users SET email = 'bob@example.com', email_key = 'bob@example.com' WHERE id = '${bob.id}'`,
  );
  const rows = [row("ada@example.com", { age: 1 }, 1), row("bob@example.com", { username: "bob", age: 2 }, 2)];
  await imports.begin(UPLOAD, SCOPE);
  const report = imports.apply(UPLOAD, 0, rows, SCOPE);
  await waitingIn(url, 1);
  await other.query("COMMIT");
  expect(await report).toEqual({ ...NOTHING, updated: 2 });
  expect(await users.get(bob.id, SCOPE)).toMatchObject({ email: "bob@example.com", age: 2 });
});
