import type { OperationRetention } from "../documents.ts";
import type { Cancellable } from "../scope.ts";
import type { Database } from "./database.ts";
import { repeat } from "./repeat.ts";
import type { Statement } from "./session.ts";

/** So many documents are looked after at a time, and so many operations of each go. */
const DOCUMENTS = 100;
const OPERATIONS = 1000;

/**
 * Deletes operations up to `through` of the documents in `due`, and notes how far they have gone in the same
 * transaction: a reader either gets an operation, or is told that it has gone. A document that somebody edits now is
 * left for later.
 */
function forget(name: string, due: string): Statement {
  const text = `WITH due AS (${due}), gone AS (
      DELETE FROM document_operations USING due
      WHERE document_operations.user_id = due.user_id AND revision <= through RETURNING revision
    ), noted AS (
      UPDATE documents SET expired_through = greatest(expired_through, through) FROM due WHERE documents.user_id = due.user_id
    )
    SELECT revision FROM gone`;
  return { name, text };
}

// A document that is locked is read as it is now, but its operations as they were when the statement began: those that
// have come in between are not seen, and are left for later.
const FORGET_SURPLUS = forget(
  "forget_surplus_operations",
  `SELECT user_id, least(
    revision - $1, expired_through + ${OPERATIONS},
    (SELECT coalesce(max(revision), 0) FROM document_operations WHERE user_id = documents.user_id)
  ) AS through FROM documents
  WHERE revision - expired_through > $1 LIMIT ${DOCUMENTS} FOR UPDATE SKIP LOCKED`,
);

const FORGET_OLD = forget(
  "forget_old_operations",
  `SELECT user_id, through FROM documents JOIN (
    SELECT user_id, max(revision) AS through FROM (
      SELECT user_id, revision FROM document_operations WHERE applied_at < statement_timestamp() - $1 * interval '1 ms'
      ORDER BY applied_at LIMIT ${OPERATIONS}
    ) AS old GROUP BY user_id
  ) AS oldest USING (user_id) FOR UPDATE OF documents SKIP LOCKED`,
);

/** Forgets operations that are no longer kept. Any number of replicas may do it at once. */
export async function forgetOperations(
  database: Database,
  { maxCount, maxAgeMs }: OperationRetention,
  scope: Cancellable,
): Promise<void> {
  await repeat(database, FORGET_SURPLUS, [maxCount], scope);
  await repeat(database, FORGET_OLD, [maxAgeMs], scope);
}
