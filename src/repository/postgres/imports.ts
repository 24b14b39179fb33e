import { UploadIdReusedError } from "../../domain/errors.ts";
import type { Principal } from "../../domain/principal.ts";
import { toChangedUser, toUser } from "../../domain/user.ts";
import { newUserId } from "../../domain/user-id.ts";
import { type ImportPlan, joinReports, type KnownUsers, planImports, withoutRepetition } from "../import-plan.ts";
import {
  type ImportReport,
  type ImportRow,
  type Imports,
  type RowFailure,
  rowCountOf,
  UPLOAD_LIFETIME_MS,
  type Upload,
} from "../imports.ts";
import type { Cancellable, WriteScope } from "../scope.ts";
import { record, recordsOfChange } from "./audit.ts";
import { committed, type Database } from "./database.ts";
import { ConflictError } from "./faults.ts";
import { insertUsers, WAIT_IN_TURN } from "./insert-users.ts";
import { keyOf } from "./requests.ts";
import type { Session, Statement } from "./session.ts";
import {
  fromRow,
  REPLACED_ROWS,
  SELECTED,
  type StoredUser,
  toColumns,
  toTimestamp,
  type UserRow,
} from "./user-rows.ts";

/** An upload that has expired gives way to the new one; one that is known stays. */
const BEGIN: Statement = {
  name: "begin_upload",
  text: `INSERT INTO uploads AS known (key, fingerprint, expires_at) VALUES ($1, $2, $4)
    ON CONFLICT (key) DO UPDATE
    SET fingerprint = excluded.fingerprint, created_count = 0, updated_count = 0, skipped_count = 0, failed_count = 0,
      failures = '[]', expires_at = excluded.expires_at
    WHERE known.expires_at <= $3`,
};
/** Whoever changes the upload waits for the end of the transaction. */
const LOCK: Statement = {
  name: "lock_upload",
  text: `SELECT fingerprint, created_count, updated_count, skipped_count, failed_count, failures
    FROM uploads WHERE key = $1 FOR UPDATE`,
};
const PROGRESS: Statement = {
  name: "progress_upload",
  text: `UPDATE uploads SET created_count = $2, updated_count = $3, skipped_count = $4, failed_count = $5, failures = $6,
    expires_at = $7 WHERE key = $1`,
};
/** In an order that all transactions share, so that they wait for each other, and not in a circle. */
const LOCK_USERS: Statement = {
  name: "lock_users_with_emails",
  text: `SELECT ${SELECTED}, email_key FROM users WHERE email_key = ANY ($1) ORDER BY id FOR UPDATE`,
};
const OWNERS: Statement = {
  name: "owners_of_usernames",
  text: "SELECT id, email_key, username_key FROM users WHERE username_key = ANY ($1)",
};
const REPLACE: Statement = { name: "replace_users", text: REPLACED_ROWS };

interface UploadRow {
  readonly fingerprint: string;
  readonly created_count: number;
  readonly updated_count: number;
  readonly skipped_count: number;
  readonly failed_count: number;
  readonly failures: RowFailure[];
}

/** Imports files into the users in PostgreSQL, for any number of replicas. */
export class PostgresImports implements Imports {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async begin(upload: Upload, scope: Cancellable): Promise<ImportReport> {
    const report = await this.#database.write(scope, async (session) => {
      const now = Date.now();
      const times = [toTimestamp(now), toTimestamp(now + UPLOAD_LIFETIME_MS)];
      await session.query(BEGIN, [keyOf(upload), upload.fingerprint, ...times]);
      return lock(upload, session);
    });
    return committed(report);
  }

  async apply(upload: Upload, firstRow: number, rows: readonly ImportRow[], scope: WriteScope): Promise<ImportReport> {
    const batch = withoutRepetition(rows);
    for (let attempt = 0; ; attempt++) {
      try {
        const report = await this.#database.write(scope, async (session) => {
          const before = await lock(upload, session);
          if (rowCountOf(before) !== firstRow) return before;
          if (attempt > 0) await session.query(WAIT_IN_TURN);
          const plan = planImports(batch, await findUsers(batch, session));
          await writePlan(plan, session, scope.author);
          return note(upload, joinReports(before, plan.report), session);
        });
        return committed(report);
      } catch (error) {
        // Somebody else has written the same users: what becomes of them is decided anew.
        if (!(error instanceof ConflictError)) throw error;
      }
    }
  }
}

/** What has become of an upload, which nobody else goes on with before the transaction ends. */
async function lock(upload: Upload, session: Session): Promise<ImportReport> {
  const [row] = await session.query<UploadRow>(LOCK, [keyOf(upload)]);
  if (row === undefined) throw new Error("the upload has not begun");
  if (row.fingerprint !== upload.fingerprint) throw new UploadIdReusedError();
  return {
    created: row.created_count,
    updated: row.updated_count,
    skipped: row.skipped_count,
    failed: row.failed_count,
    failures: row.failures,
  };
}

/** Notes what has become of an upload, in the transaction that does it. */
async function note(upload: Upload, report: ImportReport, session: Session): Promise<ImportReport> {
  const { created, updated, skipped, failed, failures } = report;
  const expiresAt = toTimestamp(Date.now() + UPLOAD_LIFETIME_MS);
  const counts = [created, updated, skipped, failed];
  await session.query(PROGRESS, [keyOf(upload), ...counts, JSON.stringify(failures), expiresAt]);
  return report;
}

interface OwnerRow {
  readonly id: string;
  readonly email_key: string;
  readonly username_key: string;
}

/**
 * Finds the users whom these rows may change, and lets nobody else change them before the transaction ends.
 *
 * @throws ConflictError if one of them has come between the two statements.
 */
async function findUsers(rows: readonly ImportRow[], session: Session): Promise<KnownUsers> {
  const named = rows.filter((row) => "emailKey" in row);
  const emailKeys = new Set(named.map(({ emailKey }) => emailKey));
  const usernameKeys = named.map(({ usernameKey }) => usernameKey).filter((key) => key !== undefined);
  const users = await session.query<UserRow & { readonly email_key: string }>(LOCK_USERS, [[...emailKeys]]);
  const owners = usernameKeys.length === 0 ? [] : await session.query<OwnerRow>(OWNERS, [usernameKeys]);
  const usersByEmail = new Map(users.map((row) => [row.email_key, fromRow(row)]));
  const isNew = ({ email_key }: OwnerRow) => emailKeys.has(email_key) && !usersByEmail.has(email_key);
  if (owners.some(isNew)) throw new ConflictError();
  const idsByUsername = new Map(owners.map(({ id, username_key }) => [username_key, id]));
  return {
    withEmail: (emailKey) => usersByEmail.get(emailKey),
    ownerOf: (usernameKey) => idsByUsername.get(usernameKey),
  };
}

async function writePlan({ creations, changes }: ImportPlan, session: Session, author: Principal): Promise<void> {
  const changed = changes.map(({ user, draft }) => {
    const { emailKey, usernameKey } = draft;
    return { user, stored: { ...toChangedUser(user, draft), emailKey, usernameKey } satisfies StoredUser };
  });
  if (changed.length > 0) await session.query(REPLACE, toColumns(changed.map(({ stored }) => stored)));
  await record(
    session,
    author,
    changed.flatMap(({ user, stored }) => recordsOfChange(user, stored)),
  );
  const now = Date.now();
  const created = creations.map((draft): StoredUser => {
    const user = toUser(draft, { id: newUserId(), createdAt: now, updatedAt: now, version: 1 });
    return { ...user, emailKey: draft.emailKey, usernameKey: draft.usernameKey };
  });
  if (created.length > 0) await insertUsers(created, session, author);
}
