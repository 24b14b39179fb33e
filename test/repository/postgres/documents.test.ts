import { describe, expect, it } from "vitest";
import type { OperationRetention } from "../../../src/repository/documents.ts";
import { forgetOperations } from "../../../src/repository/postgres/document-upkeep.ts";
import { query } from "../../support/database.ts";
import { FULL } from "../../support/full.ts";
import { testStores } from "../../support/store.ts";
import { documentsContract } from "../documents-suite.ts";
import { createAuthor, submission, told } from "../suite/documents.ts";
import { changed, SCOPE } from "../suite/drafts.ts";
import { servingStore } from "./serving-store.ts";

const emptyStore = testStores();

async function createStore() {
  const store = await emptyStore();
  const forget = async (retention: OperationRetention) => forgetOperations(await store.upkeep(), retention, SCOPE);
  return { ...store, forget };
}

documentsContract("PostgresDocuments", createStore);

describe("PostgresDocuments, on two replicas", () => {
  it("puts the operations of both in one order", async () => {
    const { url, users, documents } = await createStore();
    const other = await servingStore(url);
    const { id } = await createAuthor(users);
    const calls = Array.from({ length: 40 }, (_, index) => {
      const store = index % 2 === 0 ? documents : other.documents;
      return store.apply(id, [submission(0, [`${index},`]), submission(0, [`${index};`])], SCOPE);
    });
    const revisions = (await Promise.all(calls)).flatMap(told);
    expect(new Set(revisions).size).toBe(80);
    const applied = await other.documents.list(id, { after: 0, limit: 100 }, SCOPE);
    expect(applied.map(({ revision }) => revision)).toEqual(Array.from({ length: 80 }, (_, index) => index + 1));
    const order = applied.map(({ operation }) => operation.at(-1)).join("");
    expect((await users.get(id, SCOPE)).profile?.bio).toBe(order);
    expect(await documents.read(id, SCOPE)).toEqual({ revision: 80, text: order, caughtUp: false });
  });

  it("applies an operation once that comes to both at the same time", async () => {
    const { url, users, documents } = await createStore();
    const other = await servingStore(url);
    const { id } = await createAuthor(users);
    for (let round = 0; round < (FULL ? 20 : 8); round++) {
      const same = submission(round, ["x"]);
      const [one, two] = await Promise.all([
        documents.apply(id, [same], SCOPE),
        other.documents.apply(id, [same], SCOPE),
      ]);
      expect(one).toEqual([{ revision: round + 1 }]);
      expect(two).toEqual(one);
    }
  });

  it("takes changes of the bio and operations in one order", async () => {
    const { url, users, documents } = await createStore();
    const other = await servingStore(url);
    const { id, version } = await createAuthor(users, "0");
    await documents.read(id, SCOPE);
    const edits = Array.from({ length: 20 }, () => documents.apply(id, [submission(0, ["x"])], SCOPE));
    await Promise.all([...edits, other.users.update(id, changed({ name: "another" }), SCOPE)]);
    const user = await users.get(id, SCOPE);
    expect(user).toMatchObject({ name: "another", version: version + 21, profile: { bio: `${"x".repeat(20)}0` } });
    expect((await documents.read(id, SCOPE)).caughtUp).toBe(false);
  });
});

it("keeps nothing of users who are deleted", async () => {
  const { url, users, documents } = await createStore();
  const { id } = await createAuthor(users, "text");
  await documents.apply(id, [submission(0, ["a"])], SCOPE);
  await users.delete(id, () => {}, SCOPE);
  expect(await query(url, "SELECT FROM documents")).toEqual([]);
  expect(await query(url, "SELECT FROM document_operations")).toEqual([]);
});

describe("forgetOperations", () => {
  it("notes how far it went, in each document", async () => {
    const { url, users, documents, forget } = await createStore();
    const ids = await Promise.all(["a", "b"].map(async (bio) => (await createAuthor(users, bio)).id));
    for (const [index, id] of ids.entries())
      await documents.apply(
        id,
        Array.from({ length: 3 + index }, () => submission(0, ["."])),
        SCOPE,
      );
    await forget({ maxCount: 2, maxAgeMs: 3_600_000 });
    const rows = await query<{ expired_through: string }>(
      url,
      "SELECT expired_through FROM documents ORDER BY revision",
    );
    expect(rows.map(({ expired_through }) => Number(expired_through))).toEqual([1, 2]);
    expect(await query(url, "SELECT FROM document_operations")).toHaveLength(4);
  });

  it("forgets many operations of one document", async () => {
    const { url, users, documents, forget } = await createStore();
    const { id } = await createAuthor(users);
    await documents.read(id, SCOPE);
    await query(
      url,
      `INSERT INTO document_operations (user_id, revision, operation, author_id)
       SELECT '${id}', revision, '[]', '' FROM generate_series(1, 3500) AS revision`,
    );
    await query(url, "UPDATE documents SET revision = 3500");
    await forget({ maxCount: 10, maxAgeMs: 3_600_000 });
    expect(await query(url, "SELECT FROM document_operations")).toHaveLength(10);
    await query(url, "UPDATE document_operations SET applied_at = now() - interval '2 hours'");
    await forget({ maxCount: 10, maxAgeMs: 3_600_000 });
    expect(await query(url, "SELECT FROM document_operations")).toHaveLength(0);
    expect(await documents.latest(id, SCOPE)).toBe(3500);
  });

  it("transforms by more operations than are read at a time", async () => {
    const { users, documents } = await createStore();
    const { id } = await createAuthor(users, "ab");
    await documents.apply(
      id,
      Array.from({ length: 1203 }, () => submission(0, [1, "."])),
      SCOPE,
    );
    await documents.apply(id, [submission(0, [1, { d: 1 }, "!"]), submission(700, ["?"])], SCOPE);
    expect((await documents.read(id, SCOPE)).text).toBe(`?a${".".repeat(1203)}!`);
  });
});
