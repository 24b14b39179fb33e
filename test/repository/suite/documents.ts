import { randomUUID } from "node:crypto";
import type { TextOperation } from "../../../src/domain/text-operation.ts";
import { toProfile, type User } from "../../../src/domain/user.ts";
import type { Documents, OperationRetention, Outcome, Submission } from "../../../src/repository/documents.ts";
import type { UserRepository } from "../../../src/repository/user-repository.ts";
import { changed, createOne, SCOPE } from "./drafts.ts";

/** Where documents are kept, and the users whose they are. */
export interface DocumentStore {
  readonly users: UserRepository;
  readonly documents: Documents;
  /** Forgets operations that are no longer kept. */
  forget(retention: OperationRetention): Promise<void>;
}

/** From the beginning on. */
export const ALL = { after: 0, limit: 1000 };

/** An operation on the text of a revision. */
export function submission(baseRevision: number, operation: TextOperation, more: Partial<Submission> = {}): Submission {
  return { operationId: randomUUID(), userId: "ada", baseRevision, operation, ...more };
}

/** A user with this bio. */
export function createAuthor(users: UserRepository, bio = "", avatarUrl = ""): Promise<User> {
  return createOne(users, `${randomUUID()}@example.com`, { profile: toProfile({ bio, avatarUrl }) });
}

/** Changes a bio as UpdateUser does. */
export async function setBio(users: UserRepository, id: string, bio: string): Promise<void> {
  await users.update(id, changed({ profile: toProfile({ bio }) }), SCOPE);
}

/** What the outcomes say: revisions, and the reasons or names of errors. */
export function told(outcomes: readonly Outcome[]): (number | string)[] {
  return outcomes.map((outcome) => {
    if ("revision" in outcome) return outcome.revision;
    const { violations } = outcome.error as { violations?: readonly { field: string; reason: string }[] };
    return violations?.map(({ field, reason }) => `${field}: ${reason}`).join() ?? outcome.error.name;
  });
}
