import { REQUEST_LIFETIME_MS } from "../user-repository.js";
import { toTimestamp } from "./user-rows.js";
const SLICE = 5000;
const FORGET_CHANGES = {
    name: "forget_changes",
    text: `WITH state AS (
      SELECT expired_through FROM change_log FOR UPDATE SKIP LOCKED
    ), oldest AS (
      SELECT revision, changed_at FROM changes, state ORDER BY revision LIMIT ${SLICE}
    ), kept AS (
      SELECT coalesce(min(revision), (SELECT max(revision) + 1 FROM oldest)) AS first FROM oldest
      WHERE revision > (SELECT max(revision) FROM changes) - $1 AND changed_at >= clock_timestamp() - $2 * interval '1 ms'
    ), gone AS (
      DELETE FROM changes USING kept WHERE revision < first AND revision IN (SELECT revision FROM oldest)
      RETURNING revision
    ), noted AS (
      UPDATE change_log SET expired_through = (SELECT max(revision) FROM gone) WHERE EXISTS (SELECT FROM gone)
    )
    SELECT revision FROM gone`,
};
const FORGET_REQUESTS = {
    name: "forget_requests",
    text: `DELETE FROM creation_requests WHERE key IN (
      SELECT key FROM creation_requests WHERE expires_at < $1 ORDER BY expires_at LIMIT ${SLICE} FOR UPDATE SKIP LOCKED
    ) RETURNING key`,
};
export async function cleanUp(database, retention, scope) {
    await repeat(database, FORGET_CHANGES, [retention.maxCount, retention.maxAgeMs], scope);
    await repeat(database, FORGET_REQUESTS, [toTimestamp(Date.now() - REQUEST_LIFETIME_MS)], scope);
}
async function repeat(database, statement, values, scope) {
    let rows;
    do {
        rows = await database.write(scope, (session) => session.query(statement, values));
    } while (rows?.length === SLICE);
}
