import { OperationsExpiredError, UserNotFoundError } from "../../domain/errors.ts";
import { toProfile } from "../../domain/user.ts";
import type { AppliedOperation, Documents, DocumentText, Outcome, Submission } from "../documents.ts";
import { catchUp, EditPlan, type KeptDocument } from "../edit-plan.ts";
import type { Cancellable } from "../scope.ts";
import { committed, type Database } from "./database.ts";
import type { Session, Statement } from "./session.ts";
import { isStorable, toStorable } from "./texts.ts";
import { toTimestamp } from "./user-rows.ts";

const READ: Statement = {
  name: "read_document",
  text: `SELECT coalesce(bio, '') AS bio, revision, text FROM users LEFT JOIN documents ON user_id = id WHERE id = $1`,
};
/** One row for each operation, or one without an operation; each says up to where operations are no longer kept. */
const LIST: Statement = {
  name: "list_operations",
  text: `SELECT coalesce(expired_through, 0) AS expired_through, page.*
    FROM users LEFT JOIN documents ON user_id = id LEFT JOIN LATERAL (
      SELECT revision, operation, author_id, operation_id FROM document_operations
      WHERE user_id = $1 AND revision > $2 ORDER BY revision LIMIT $3
    ) AS page ON true WHERE id = $1 ORDER BY page.revision`,
};
/** Those who edit a document wait for each other here, on whichever replica. */
const LOCK: Statement = {
  name: "lock_document",
  text: `SELECT coalesce(bio, '') AS bio, coalesce(avatar_url, '') AS avatar_url FROM users
    WHERE id = $1 FOR NO KEY UPDATE`,
};
/**
 * A statement of its own: read together with LOCK, the document would be as it was before LOCK waited. FOR UPDATE keeps
 * upkeep out.
 */
const OPEN: Statement = {
  name: "open_document",
  text: "SELECT revision, text, expired_through FROM documents WHERE user_id = $1 FOR UPDATE",
};
const KNOWN: Statement = {
  name: "known_operations",
  text: "SELECT operation_id, revision FROM document_operations WHERE user_id = $1 AND operation_id = ANY ($2)",
};
const SAVE: Statement = {
  name: "save_document",
  text: `INSERT INTO documents (user_id, revision, text) VALUES ($1, $2, $3)
    ON CONFLICT (user_id) DO UPDATE SET revision = excluded.revision, text = excluded.text`,
};
const ADD: Statement = {
  name: "add_operations",
  text: `INSERT INTO document_operations (user_id, revision, operation, author_id, operation_id)
    SELECT $1, revision, operation::jsonb, author_id, nullif(operation_id, '')
    FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[]) AS row (revision, operation, author_id, operation_id)`,
};
/** An update like that of the users' repository, of the one field that an edit changes. */
const UPDATE_BIO: Statement = {
  name: "update_bio",
  text: `UPDATE users SET bio = $2, avatar_url = $3, version = version + 1, updated_at = greatest(updated_at, $4)
    WHERE id = $1`,
};

/** So many operations are read at a time, which bounds what they take in memory. */
const PAGE_SIZE = 500;

interface OperationRow {
  readonly revision: number;
  readonly operation: AppliedOperation["operation"];
  readonly author_id: string;
  readonly operation_id: string | null;
}

/** A row of LIST. */
type PageRow = (OperationRow | { readonly revision: null }) & { readonly expired_through: number };

/** A row of LOCK. */
interface LockedUser {
  readonly bio: string;
  readonly avatar_url: string;
}

/** Keeps documents in PostgreSQL, for any number of replicas. */
export class PostgresDocuments implements Documents {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async read(userId: string, scope: Cancellable): Promise<DocumentText & { readonly caughtUp: boolean }> {
    const row = await this.#read(userId, scope);
    if (row.text === row.bio) return { revision: row.revision, text: row.bio, caughtUp: false };
    return committed(await this.#database.write(scope, (session) => readAndCatchUp(session, userId)));
  }

  async latest(userId: string, scope: Cancellable): Promise<number> {
    return (await this.#read(userId, scope)).revision ?? 0;
  }

  async list(
    userId: string,
    { after, limit }: { readonly after: number; readonly limit: number },
    scope: Cancellable,
  ): Promise<AppliedOperation[]> {
    requireStorable(userId);
    const rows = await this.#database.read<PageRow>(LIST, [userId, after, limit], scope);
    const [first] = rows;
    if (first === undefined) throw new UserNotFoundError(userId);
    if (after < first.expired_through) throw new OperationsExpiredError();
    return rows.flatMap((row) => (row.revision === null ? [] : [toApplied(row)]));
  }

  async apply(userId: string, submissions: readonly Submission[], scope: Cancellable): Promise<Outcome[]> {
    requireStorable(userId);
    return committed(await this.#database.write(scope, (session) => applyAll(session, userId, submissions)));
  }

  async #read(
    userId: string,
    scope: Cancellable,
  ): Promise<{ bio: string } & (DocumentText | { revision: null; text: null })> {
    requireStorable(userId);
    const [row] = await this.#database.read<{ bio: string; revision: number; text: string }>(READ, [userId], scope);
    if (row === undefined) throw new UserNotFoundError(userId);
    return row;
  }
}

async function readAndCatchUp(
  session: Session,
  userId: string,
): Promise<DocumentText & { readonly caughtUp: boolean }> {
  const { bio } = await lock(session, userId);
  const { revision, text } = await open(session, userId, bio);
  const change = catchUp({ revision, text }, bio);
  const latest = change?.revision ?? revision;
  await session.query(SAVE, [userId, latest, bio]);
  if (change !== undefined) await add(session, userId, [change]);
  return { revision: latest, text: bio, caughtUp: change !== undefined };
}

async function applyAll(session: Session, userId: string, submissions: readonly Submission[]): Promise<Outcome[]> {
  const { bio, avatar_url: avatarUrl } = await lock(session, userId);
  const document = await open(session, userId, bio);
  const plan = new EditPlan(document, submissions, await knownOf(session, userId, submissions));
  for (let after = plan.since; after < document.revision; after += PAGE_SIZE) {
    const rows = await session.query<OperationRow & PageRow>(LIST, [userId, after, PAGE_SIZE]);
    for (const row of rows) plan.passOver(toApplied(row));
  }
  const outcomes = plan.finish(bio);
  const { revision, text } = plan.text;
  if (plan.added.length > 0) {
    await session.query(SAVE, [userId, revision, text]);
    await add(session, userId, plan.added);
  }
  if (plan.changesUser) {
    const profile = toProfile({ bio: text, avatarUrl });
    const now = toTimestamp(Date.now());
    await session.query(UPDATE_BIO, [userId, profile?.bio ?? null, profile?.avatarUrl ?? null, now]);
  }
  return outcomes;
}

async function lock(session: Session, userId: string): Promise<LockedUser> {
  const [user] = await session.query<LockedUser>(LOCK, [userId]);
  if (user === undefined) throw new UserNotFoundError(userId);
  return user;
}

/** The document; a new one, which has the bio as its text, if nobody has read or edited it before. */
async function open(session: Session, userId: string, bio: string): Promise<KeptDocument> {
  const [row] = await session.query<DocumentText & { expired_through: number }>(OPEN, [userId]);
  if (row === undefined) return { revision: 0, text: bio, expiredThrough: 0 };
  return { revision: row.revision, text: row.text, expiredThrough: row.expired_through };
}

async function knownOf(
  session: Session,
  userId: string,
  submissions: readonly Submission[],
): Promise<ReadonlyMap<string, number>> {
  const ids = submissions.map(({ operationId }) => operationId);
  const rows = await session.query<{ operation_id: string; revision: number }>(KNOWN, [userId, ids]);
  return new Map(rows.map(({ operation_id: id, revision }) => [id, revision]));
}

async function add(session: Session, userId: string, operations: readonly AppliedOperation[]): Promise<void> {
  await session.query(ADD, [
    userId,
    operations.map(({ revision }) => revision),
    operations.map(({ operation }) => JSON.stringify(operation)),
    operations.map((operation) => toStorable(operation.userId)),
    operations.map(({ operationId }) => operationId),
  ]);
}

function toApplied({
  revision,
  operation,
  author_id: userId,
  operation_id: operationId,
}: OperationRow): AppliedOperation {
  return { revision, operation, userId, operationId: operationId ?? "" };
}

function requireStorable(userId: string): void {
  if (!isStorable(userId)) throw new UserNotFoundError(userId);
}
