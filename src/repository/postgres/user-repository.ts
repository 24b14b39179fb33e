import { UserNotFoundError } from "../../domain/errors.ts";
import type { Principal } from "../../domain/principal.ts";
import { toChangedUser, toUser, type User, type UserDraft } from "../../domain/user.ts";
import { newUserId } from "../../domain/user-id.ts";
import type { ChangeLog } from "../change-log.ts";
import { Claims } from "../claims.ts";
import { carryOut, planCreations, type Step } from "../creation-plan.ts";
import type { Cancellable, WriteScope } from "../scope.ts";
import type { NewUser, UserPage, UserRepository } from "../user-repository.ts";
import { record, recordOfDeletion, recordsOfChange } from "./audit.ts";
import { PostgresChangeLog } from "./change-log.ts";
import type { Database } from "./database.ts";
import { ConflictError } from "./faults.ts";
import { insertUsers, WAIT_IN_TURN } from "./insert-users.ts";
import { JointReads } from "./joint-reads.ts";
import { type CarriedOut, type FindRequest, findRequests, insertRequests } from "./requests.ts";
import type { Session, Statement } from "./session.ts";
import { isStorable } from "./texts.ts";
import {
  COLUMN_COUNT,
  COLUMN_NAMES,
  fromRow,
  SELECTED,
  type StoredUser,
  toRow,
  UPDATED_ROW,
  type UserRow,
} from "./user-rows.ts";

const GET_MANY: Statement = { name: "get_users", text: `SELECT ${SELECTED} FROM users WHERE id = ANY ($1)` };
const LIST: Statement = {
  name: "list_users",
  text: `SELECT ${SELECTED} FROM users WHERE id > $1 ORDER BY id LIMIT $2`,
};
/**
 * One row for each user, or one without a user; each says as of which revision, because one statement sees one state.
 */
const LIST_AS_OF: Statement = {
  name: "list_users_as_of",
  text: `SELECT page.*, greatest(expired_through, (SELECT max(revision) FROM changes)) AS revision
    FROM change_log LEFT JOIN LATERAL (${LIST.text}) AS page ON true ORDER BY id`,
};
const SUSPENDED: Statement = {
  name: "suspended_users",
  text: "SELECT id FROM users WHERE id = ANY ($1) AND status = 'suspended'",
};
const UPDATE: Statement = {
  name: "update_user",
  text: `UPDATE users SET (${COLUMN_NAMES}) = ${UPDATED_ROW}
    WHERE id = $1 AND version = $${COLUMN_COUNT + 1} RETURNING id`,
};
const DELETE: Statement = {
  name: "delete_user",
  text: "DELETE FROM users WHERE id = $1 AND version = $2 RETURNING id",
};
/** Which of these keys belong to users other than $3. */
const TAKEN: Statement = {
  name: "taken_keys",
  text: `SELECT email_key, username_key FROM users
    WHERE (email_key = ANY ($1) OR username_key = ANY ($2)) AND id <> $3`,
};

/** A row of LIST_AS_OF. */
type AsOfRow = Omit<UserRow, "id"> & { readonly id: string | null; readonly revision: number };

interface TakenRow {
  readonly email_key: string;
  readonly username_key: string | null;
}

/**
 * A call waits so long to learn whether its caller is suspended. The answer may be for many calls, so none calls it
 * off.
 */
const SUSPENSION_SCOPE: Cancellable = { signal: new AbortController().signal, timeoutMs: () => 2000 };

/** Keeps users in PostgreSQL, for any number of replicas. */
export class PostgresUserRepository implements UserRepository {
  readonly keepsUsers = false;
  readonly changes: ChangeLog;
  readonly #database: Database;
  readonly #users: JointReads<User>;
  readonly #suspended: JointReads<true>;

  constructor(database: Database) {
    this.#database = database;
    this.changes = new PostgresChangeLog(database);
    this.#users = new JointReads((ids, scope) => this.#read(ids, scope));
    this.#suspended = new JointReads((ids, scope) => this.#readSuspended(ids, scope));
  }

  async get(id: string, scope: Cancellable): Promise<User> {
    const user = isStorable(id) ? await this.#users.read(id, scope) : undefined;
    if (user === undefined) throw new UserNotFoundError(id);
    return user;
  }

  async getMany(ids: readonly string[], scope: Cancellable): Promise<(User | undefined)[]> {
    const users = await this.#read(ids.filter(isStorable), scope);
    return ids.map((id) => users.get(id));
  }

  async list(page: UserPage, scope: Cancellable): Promise<User[]> {
    const rows = await this.#database.read<UserRow>(LIST, valuesOf(page), scope);
    return rows.map(fromRow);
  }

  async listAsOf(page: UserPage, scope: Cancellable): Promise<{ users: User[]; revision: number }> {
    const rows = await this.#database.read<AsOfRow>(LIST_AS_OF, valuesOf(page), scope);
    const users = rows.flatMap(({ id, ...row }) => (id === null ? [] : [fromRow({ ...row, id })]));
    return { users, revision: rows[0]?.revision ?? 0 };
  }

  async isSuspended(id: string): Promise<boolean> {
    return isStorable(id) && (await this.#suspended.read(id, SUSPENSION_SCOPE)) === true;
  }

  async create(users: readonly NewUser[], scope: WriteScope): Promise<User[]> {
    for (let attempt = 0; ; attempt++) {
      try {
        const created = await this.#database.write(scope, async (session) => {
          if (attempt > 0) await session.query(WAIT_IN_TURN);
          return createUsers(session, users, scope.author);
        });
        if (created !== undefined) return created;
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
      }
      // Fails if somebody stands in the way of these users, unless they have gone meanwhile.
      await this.#plan(users, scope);
    }
  }

  async update(id: string, change: (user: User) => UserDraft | undefined, scope: WriteScope): Promise<User> {
    for (;;) {
      scope.signal.throwIfAborted();
      const user = await this.get(id, scope);
      const draft = change(user);
      if (draft === undefined) return user;
      const changed = toChangedUser(user, draft);
      try {
        const replace = (session: Session) => replaceUser(session, user, draft, changed, scope.author);
        if (await this.#database.write(scope, replace)) return changed;
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
        const claims = await this.#claims([draft], id, scope);
        claims.claim(draft);
      }
    }
  }

  async delete(id: string, check: (user: User) => void, scope: WriteScope): Promise<void> {
    for (;;) {
      scope.signal.throwIfAborted();
      const user = await this.get(id, scope);
      check(user);
      try {
        if (await this.#database.write(scope, (session) => deleteUser(session, user, scope.author))) return;
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
      }
    }
  }

  async #read(ids: readonly string[], scope: Cancellable): Promise<Map<string, User>> {
    const rows = await this.#database.read<UserRow>(GET_MANY, [ids], scope);
    return new Map(rows.map((row) => [row.id, fromRow(row)]));
  }

  async #readSuspended(ids: readonly string[], scope: Cancellable): Promise<Map<string, true>> {
    const rows = await this.#database.read<{ id: string }>(SUSPENDED, [ids], scope);
    return new Map(rows.map(({ id }) => [id, true]));
  }

  /** Plans creations by all that is known. */
  async #plan(users: readonly NewUser[], scope: Cancellable): Promise<Step[]> {
    // The keys before the requests: if a request is carried out in between, it is known, and stands for its own user.
    const claims = await this.#claims(users, "", scope);
    const find = await findRequests(users, (statement, values) => this.#database.read(statement, values, scope));
    return planCreations(users, claims, find);
  }

  /** The keys that these drafts want, and that users other than `id` have. */
  async #claims(drafts: readonly UserDraft[], id: string, scope: Cancellable): Promise<Claims> {
    const emailKeys = drafts.map(({ emailKey }) => emailKey);
    const usernameKeys = drafts.map(({ usernameKey }) => usernameKey).filter((key) => key !== undefined);
    const taken = await this.#database.read<TakenRow>(TAKEN, [emailKeys, usernameKeys, id], scope);
    return new Claims(
      new Set(taken.map(({ email_key }) => email_key)),
      new Set(taken.map(({ username_key }) => username_key).filter((key) => key !== null)),
    );
  }
}

/** Creates users; undefined if that needs a closer look at who stands in their way. */
async function createUsers(
  session: Session,
  users: readonly NewUser[],
  author: Principal,
): Promise<User[] | undefined> {
  const find = await findRequests(users, (statement, values) => session.query(statement, values));
  const plan = planOptimistically(users, find);
  if (plan === undefined) return undefined;

  const now = Date.now();
  const stored: StoredUser[] = [];
  const requests: CarriedOut[] = [];
  const created = carryOut(plan, (draft) => {
    const user = toUser(draft, { id: newUserId(), createdAt: now, updatedAt: now, version: 1 });
    stored.push({ ...user, emailKey: draft.emailKey, usernameKey: draft.usernameKey });
    if (draft.request !== undefined) requests.push({ request: draft.request, userId: user.id });
    return user;
  });
  await insertUsers(stored, session, author);
  return (await insertRequests(requests, session)) ? created : undefined;
}

/** The plan, if no user has what these users want: the table tells. Undefined if they stand in each other's way. */
function planOptimistically(users: readonly NewUser[], find: FindRequest): Step[] | undefined {
  try {
    return planCreations(users, new Claims(new Set(), new Set()), find);
  } catch {
    // Which of them is refused for what, a plan tells that knows all keys.
    return undefined;
  }
}

/** Replaces a user, if they still are as they were; undefined if not. */
async function replaceUser(
  session: Session,
  user: User,
  { emailKey, usernameKey }: UserDraft,
  changed: User,
  author: Principal,
): Promise<true | undefined> {
  const rows = await session.query(UPDATE, [...toRow({ ...changed, emailKey, usernameKey }), user.version]);
  if (rows.length === 0) return undefined;
  await record(session, author, recordsOfChange(user, changed));
  return true;
}

/** Deletes a user, if they still are as they were; undefined if not. */
async function deleteUser(session: Session, { id, version }: User, author: Principal): Promise<true | undefined> {
  const rows = await session.query(DELETE, [id, version]);
  if (rows.length === 0) return undefined;
  await record(session, author, [recordOfDeletion(id)]);
  return true;
}

function valuesOf({ after = "", limit }: UserPage): unknown[] {
  // No text with U+0000 is an id; up to there, it stands between the same two ids.
  return [after.split("\0")[0], limit];
}
