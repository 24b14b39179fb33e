import { createHash } from "node:crypto";
import { type KnownRequest, requestKey } from "../creation-plan.ts";
import { type CreationRequest, type NewUser, REQUEST_LIFETIME_MS } from "../user-repository.ts";
import type { Session, Statement } from "./session.ts";
import { fromRow, SELECTED, toTimestamp, type UserRow } from "./user-rows.ts";

/** A request, and the user that it creates. */
export interface CarriedOut {
  readonly request: CreationRequest;
  readonly userId: string;
}

/** Finds what is known of a request. */
export type FindRequest = (request: CreationRequest) => KnownRequest | undefined;

const FIND: Statement = {
  name: "find_requests",
  text: `SELECT key, fingerprint, user_id, ${SELECTED}
    FROM creation_requests LEFT JOIN users ON users.id = user_id
    WHERE key = ANY ($1) AND expires_at > $2`,
};
/** A request that has expired gives way to the new one; one that is known stays, and leaves the new one out. */
const INSERT: Statement = {
  name: "insert_requests",
  text: `INSERT INTO creation_requests AS known (key, fingerprint, user_id, expires_at)
    SELECT key, fingerprint, user_id, $5::timestamptz
    FROM unnest($1::bytea[], $2::text[], $3::text[]) AS row (key, fingerprint, user_id)
    ON CONFLICT (key) DO UPDATE
    SET fingerprint = excluded.fingerprint, user_id = excluded.user_id, expires_at = excluded.expires_at
    WHERE known.expires_at <= $4
    RETURNING key`,
};

type FoundRow = Omit<UserRow, "id"> & {
  readonly key: Buffer;
  readonly fingerprint: string;
  readonly user_id: string;
  /** Null once the user is deleted. */
  readonly id: string | null;
};

/** Looks for the requests of these users, of whom most have none. */
export async function findRequests(
  users: readonly NewUser[],
  query: (statement: Statement, values: readonly unknown[]) => Promise<FoundRow[]>,
): Promise<FindRequest> {
  const keys = users.flatMap(({ request }) => (request === undefined ? [] : [keyOf(request)]));
  if (keys.length === 0) return () => undefined;
  const rows = await query(FIND, [keys, toTimestamp(Date.now())]);
  const known = new Map(rows.map((row) => [row.key.toString("latin1"), toKnownRequest(row)]));
  return (request) => known.get(keyOf(request).toString("latin1"));
}

/**
 * Keeps requests that are being carried out, so that they are known again. Tells whether none of them was known
 * already.
 */
export async function insertRequests(requests: readonly CarriedOut[], session: Session): Promise<boolean> {
  if (requests.length === 0) return true;
  const now = Date.now();
  const rows = requests.map(({ request, userId }) => ({ key: keyOf(request), request, userId }));
  // In an order that all transactions share, so that they wait for each other, and not in a circle.
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

/**
 * What tells a request, or an upload, from all others. A hash, because callers may have names that PostgreSQL has no
 * text for.
 */
export function keyOf(request: Pick<CreationRequest, "caller" | "id">): Buffer {
  return createHash("sha256").update(requestKey(request)).digest();
}

function toKnownRequest({ fingerprint, user_id: userId, id, ...row }: FoundRow): KnownRequest {
  return { fingerprint, userId, user: id === null ? undefined : fromRow({ ...row, id }) };
}
