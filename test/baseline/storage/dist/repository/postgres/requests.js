import { createHash } from "node:crypto";
import { requestKey } from "../creation-plan.js";
import { REQUEST_LIFETIME_MS } from "../user-repository.js";
import { SELECTED, toTimestamp, toUser } from "./user-rows.js";
const FIND = {
    name: "find_requests",
    text: `SELECT key, fingerprint, user_id, ${SELECTED}
    FROM creation_requests LEFT JOIN users ON users.id = user_id
    WHERE key = ANY ($1) AND expires_at > $2`,
};
const INSERT = {
    name: "insert_requests",
    text: `INSERT INTO creation_requests AS known (key, fingerprint, user_id, expires_at)
    SELECT key, fingerprint, user_id, $5::timestamptz
    FROM unnest($1::bytea[], $2::text[], $3::text[]) AS row (key, fingerprint, user_id)
    ON CONFLICT (key) DO UPDATE
    SET fingerprint = excluded.fingerprint, user_id = excluded.user_id, expires_at = excluded.expires_at
    WHERE known.expires_at <= $4
    RETURNING key`,
};
export async function findRequests(users, query) {
    const keys = users.flatMap(({ request }) => (request === undefined ? [] : [keyOf(request)]));
    if (keys.length === 0)
        return () => undefined;
    const rows = await query(FIND, [keys, toTimestamp(Date.now())]);
    const known = new Map(rows.map((row) => [row.key.toString("latin1"), toKnownRequest(row)]));
    return (request) => known.get(keyOf(request).toString("latin1"));
}
export async function insertRequests(requests, session) {
    if (requests.length === 0)
        return true;
    const now = Date.now();
    const rows = requests.map(({ request, userId }) => ({ key: keyOf(request), request, userId }));
    rows.sort((one, other) => one.key.compare(other.key));
    const inserted = await session.query(INSERT, [
        rows.map(({ key }) => key),
        rows.map(({ request }) => request.fingerprint),
        rows.map(({ userId }) => userId),
        toTimestamp(now),
        toTimestamp(now + REQUEST_LIFETIME_MS),
    ]);
    return inserted.length === requests.length;
}
function keyOf(request) {
    return createHash("sha256").update(requestKey(request)).digest();
}
function toKnownRequest({ fingerprint, user_id: userId, id, ...row }) {
    return { fingerprint, userId, user: id === null ? undefined : toUser({ ...row, id }) };
}
