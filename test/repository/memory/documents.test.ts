import { expect, it } from "vitest";
import { OPERATION_RETENTION, type OperationRetention } from "../../../src/repository/documents.ts";
import { MemoryDocuments } from "../../../src/repository/memory/documents.ts";
import { MemoryUserRepository } from "../../../src/repository/memory/user-repository.ts";
import { documentsContract } from "../documents-suite.ts";
import { createAuthor, submission } from "../suite/documents.ts";
import { RETENTION, SCOPE } from "../suite/drafts.ts";

/** Documents whose retention can be changed. */
function createStore() {
  const users = new MemoryUserRepository(RETENTION);
  const retention = { ...OPERATION_RETENTION };
  const documents = new MemoryDocuments(users, retention);
  return { users, documents, forget: async (other: OperationRetention) => void Object.assign(retention, other) };
}

documentsContract("MemoryDocuments", async () => createStore());

it("keeps the latest of many operations, and the order of all", async () => {
  const { users, documents, forget } = createStore();
  await forget({ ...OPERATION_RETENTION, maxCount: 5 });
  const { id } = await createAuthor(users);
  for (let revision = 0; revision < 100; revision++) await documents.apply(id, [submission(revision, ["."])], SCOPE);
  const kept = await documents.list(id, { after: 95, limit: 100 });
  expect(kept.map(({ revision }) => revision)).toEqual([96, 97, 98, 99, 100]);
});

it("keeps nothing of users who are deleted", async () => {
  const { users, documents } = createStore();
  const { id } = await createAuthor(users);
  await documents.read(id);
  expect(documents.size).toBe(1);
  await users.delete(id, () => {}, SCOPE);
  expect(documents.size).toBe(0);
});
