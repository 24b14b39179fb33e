import { describe, expect, it } from "vitest";
import type { Imports } from "../../../src/repository/imports.ts";
import type { UserRepository } from "../../../src/repository/user-repository.ts";
import { query } from "../../support/database.ts";
import { testStores } from "../../support/store.ts";
import { changed, createOne, draft, drafts, errorOf, everybody, SCOPE } from "../suite/drafts.ts";
import { applyAll, row } from "../suite/import-rows.ts";

const AUTHOR = { author_id: SCOPE.author.id, author_role: SCOPE.author.role };
const newStore = testStores();

/** A store, and what is recorded of its users. */
async function openStore(): Promise<{ users: UserRepository; imports: Imports; records(): Promise<object[]> }> {
  const { url, users, imports } = await newStore();
  await query(url, "TRUNCATE audit_records");
  const columns = "author_id, author_role, action, user_id, old_value, new_value";
  return { users, imports, records: () => query(url, `SELECT ${columns} FROM audit_records ORDER BY id`) };
}

describe("the audit records", () => {
  it("tell who set a role or a status, from what and to what", async () => {
    const { users, records } = await openStore();
    const { id: user_id } = await createOne(users, "ada@example.com");
    await users.update(user_id, changed({ role: "admin" }), SCOPE);
    await users.update(user_id, changed({ role: "user", status: "suspended" }), SCOPE);
    expect(await records()).toEqual([
      { ...AUTHOR, action: "set_role", user_id, old_value: "user", new_value: "admin" },
      { ...AUTHOR, action: "set_role", user_id, old_value: "admin", new_value: "user" },
      { ...AUTHOR, action: "set_status", user_id, old_value: "active", new_value: "suspended" },
    ]);
  });

  it("tell who deleted a user", async () => {
    const { users, records } = await openStore();
    const { id: user_id } = await createOne(users, "ada@example.com");
    await users.delete(user_id, () => {}, SCOPE);
    expect(await records()).toEqual([{ ...AUTHOR, action: "delete_user", user_id, old_value: null, new_value: null }]);
  });

  it("tell who created a user with a role or a status that others do not have", async () => {
    const { users, records } = await openStore();
    const batch = [draft("a@example.com"), draft("b@example.com", { role: "admin", status: "suspended" })];
    const [, created] = await users.create(batch, SCOPE);
    const user_id = created?.id;
    expect(await records()).toEqual([
      { ...AUTHOR, action: "set_role", user_id, old_value: null, new_value: "admin" },
      { ...AUTHOR, action: "set_status", user_id, old_value: null, new_value: "suspended" },
    ]);
  });

  it("tell who did so by importing a file", async () => {
    const { users, imports, records } = await openStore();
    const { id } = await createOne(users, "ada@example.com");
    const rows = [
      row("ada@example.com", { status: "suspended", role: "admin" }),
      row("new@example.com", { role: "admin" }),
      row("plain@example.com"),
    ];
    await applyAll(imports, rows);
    const created = (await everybody(users)).find(({ email }) => email === "new@example.com")?.id;
    expect(await records()).toEqual([
      { ...AUTHOR, action: "set_role", user_id: id, old_value: "user", new_value: "admin" },
      { ...AUTHOR, action: "set_status", user_id: id, old_value: "active", new_value: "suspended" },
      { ...AUTHOR, action: "set_role", user_id: created, old_value: null, new_value: "admin" },
    ]);
  });

  it("tell of nothing else", async () => {
    const { users, records } = await openStore();
    const [user] = await users.create(drafts(3), SCOPE);
    await users.update(user?.id ?? "", changed({ name: "another name", age: 36 }), SCOPE);
    await users.update(user?.id ?? "", () => undefined, SCOPE);
    expect(await records()).toEqual([]);
  });

  it("tell of nothing that has not happened", async () => {
    const { users, records } = await openStore();
    await createOne(users, "taken@example.com");
    const { id } = await createOne(users, "ada@example.com");
    await errorOf(users.update(id, changed({ role: "admin", email: "taken@example.com" }), SCOPE));
    await errorOf(users.create([draft("eve@example.com", { role: "admin" }), draft("taken@example.com")], SCOPE));
    const refuse = (): never => {
      throw new Error("no");
    };
    await errorOf(users.delete(id, refuse, SCOPE));
    expect(await records()).toEqual([]);
  });

  it("name an author whom PostgreSQL has no text for", async () => {
    const { users, records } = await openStore();
    const author = { id: "a\u0000b", role: "service" } as const;
    await users.create([draft("ada@example.com", { role: "admin" })], { ...SCOPE, author });
    expect(await records()).toMatchObject([{ author_id: "a\ufffdb", author_role: "service" }]);
  });
});
