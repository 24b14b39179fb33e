import type { ChangeRetention } from "../change-log.ts";
import type { ChatRetention } from "../chat-rooms.ts";
import { OPERATION_RETENTION } from "../documents.ts";
import { UPLOAD_LIFETIME_MS } from "../imports.ts";
import type { Cancellable } from "../scope.ts";
import { REQUEST_LIFETIME_MS } from "../user-repository.ts";
import { forgetTexts } from "./chat-upkeep.ts";
import type { Database } from "./database.ts";
import { forgetOperations } from "./document-upkeep.ts";
import { repeat } from "./repeat.ts";
import type { Statement } from "./session.ts";
import { toTimestamp } from "./user-rows.ts";

/** So many rows go at a time, so that nobody waits long for what a transaction holds. */
const SLICE = 5000;

/**
 * The oldest changes, as far as they are too many or too old. They go in the order of their revisions, and how far they
 * have gone is noted in the same transaction: a reader either gets a change, or is told that it has gone.
 */
const FORGET_CHANGES: Statement = {
  name: "forget_changes",
  text: `WITH state AS (
      SELECT expired_through FROM change_log FOR UPDATE SKIP LOCKED
    ), oldest AS (
      SELECT revision, changed_at FROM changes, state ORDER BY revision LIMIT ${SLICE}
    ), kept AS (
      SELECT coalesce(min(revision), (SELECT max(revision) + 1 FROM oldest)) AS first FROM oldest
      WHERE revision > (SELECT max(revision) FROM changes) - $1 AND changed_at >= statement_timestamp() - $2 * interval '1 ms'
    ), gone AS (
      DELETE FROM changes USING kept WHERE revision < first AND revision IN (SELECT revision FROM oldest)
      RETURNING revision
    ), noted AS (
      UPDATE change_log SET expired_through = (SELECT max(revision) FROM gone) WHERE EXISTS (SELECT FROM gone)
    )
    SELECT revision FROM gone`,
};
const FORGET_REQUESTS: Statement = {
  name: "forget_requests",
  text: `DELETE FROM creation_requests WHERE key IN (
      SELECT key FROM creation_requests WHERE expires_at < $1 ORDER BY expires_at LIMIT ${SLICE} FOR UPDATE SKIP LOCKED
    ) RETURNING key`,
};

const FORGET_PRESENCES: Statement = {
  name: "forget_presences",
  text: `DELETE FROM presences WHERE session IN (
      SELECT session FROM presences WHERE expires_at < statement_timestamp() LIMIT ${SLICE} FOR UPDATE SKIP LOCKED
    ) RETURNING session`,
};

const FORGET_UPLOADS: Statement = {
  name: "forget_uploads",
  text: `DELETE FROM uploads WHERE key IN (
      SELECT key FROM uploads WHERE expires_at < $1 ORDER BY expires_at LIMIT ${SLICE} FOR UPDATE SKIP LOCKED
    ) RETURNING key`,
};

/** What is kept. */
export interface UpkeepRetention {
  readonly changes: ChangeRetention;
  readonly texts: ChatRetention;
}

/**
 * Forgets what is no longer kept: changes, requests and uploads that have expired, texts of rooms,
 * operations of documents, and presences of processes that have died. Any number of replicas may do it at once.
 */
export async function cleanUp(
  database: Database,
  { changes, texts }: UpkeepRetention,
  scope: Cancellable,
): Promise<void> {
  await repeat(database, FORGET_CHANGES, [changes.maxCount, changes.maxAgeMs], scope);
  // A whole lifetime after they have expired, so that it does not matter what the clocks of the replicas say.
  await repeat(database, FORGET_REQUESTS, [toTimestamp(Date.now() - REQUEST_LIFETIME_MS)], scope);
  await forgetTexts(database, texts, scope);
  await repeat(database, FORGET_PRESENCES, [], scope);
  await forgetOperations(database, OPERATION_RETENTION, scope);
  await repeat(database, FORGET_UPLOADS, [toTimestamp(Date.now() - UPLOAD_LIFETIME_MS)], scope);
}
