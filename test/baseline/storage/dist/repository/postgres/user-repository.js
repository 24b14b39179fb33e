import { UserNotFoundError } from "../../domain/errors.js";
import { toChangedUser, toUser as toNewUser } from "../../domain/user.js";
import { newUserId } from "../../domain/user-id.js";
import { Claims } from "../claims.js";
import { carryOut, planCreations } from "../creation-plan.js";
import { PostgresChangeLog } from "./change-log.js";
import { ConflictError } from "./faults.js";
import { findRequests, insertRequests } from "./requests.js";
import { COLUMN_COUNT, COLUMN_NAMES, ROW_OF_PARAMETERS, ROWS_OF_PARAMETERS, SELECTED, toColumns, toRow, toUser, } from "./user-rows.js";
const GET = { name: "get_user", text: `SELECT ${SELECTED} FROM users WHERE id = $1` };
const GET_MANY = { name: "get_users", text: `SELECT ${SELECTED} FROM users WHERE id = ANY ($1)` };
const LIST = {
    name: "list_users",
    text: `SELECT ${SELECTED} FROM users WHERE id > $1 ORDER BY id LIMIT $2`,
};
const IS_SUSPENDED = {
    name: "is_suspended",
    text: "SELECT FROM users WHERE id = $1 AND status = 'suspended'",
};
const INSERT = {
    name: "insert_users",
    text: `INSERT INTO users (${COLUMN_NAMES}) ${ROWS_OF_PARAMETERS}`,
};
const UPDATE = {
    name: "update_user",
    text: `UPDATE users SET (${COLUMN_NAMES}) = ${ROW_OF_PARAMETERS}
    WHERE id = $1 AND version = $${COLUMN_COUNT + 1} RETURNING id`,
};
const DELETE = {
    name: "delete_user",
    text: "DELETE FROM users WHERE id = $1 AND version = $2 RETURNING id",
};
const TAKEN = {
    name: "taken_keys",
    text: `SELECT email_key, username_key FROM users
    WHERE (email_key = ANY ($1) OR username_key = ANY ($2)) AND id <> $3`,
};
const USERS_PER_INSERT = 1000;
const NEVER = new AbortController().signal;
const SUSPENSION_TIMEOUT_MS = 2000;
export class PostgresUserRepository {
    changes;
    #database;
    constructor(database) {
        this.#database = database;
        this.changes = new PostgresChangeLog(database);
    }
    async get(id, scope) {
        const [row] = isStorable(id) ? await this.#database.read(GET, [id], scope) : [];
        if (row === undefined)
            throw new UserNotFoundError(id);
        return toUser(row);
    }
    async getMany(ids, scope) {
        const rows = await this.#database.read(GET_MANY, [ids.filter(isStorable)], scope);
        const users = new Map(rows.map((row) => [row.id, toUser(row)]));
        return ids.map((id) => users.get(id));
    }
    async list({ after = "", limit }, scope) {
        const rows = await this.#database.read(LIST, [after, limit], scope);
        return rows.map(toUser);
    }
    async isSuspended(id) {
        if (!isStorable(id))
            return false;
        const scope = { signal: NEVER, timeoutMs: () => SUSPENSION_TIMEOUT_MS };
        const rows = await this.#database.read(IS_SUSPENDED, [id], scope);
        return rows.length > 0;
    }
    async create(users, scope) {
        for (;;) {
            try {
                const created = await this.#database.write(scope, (session) => createUsers(session, users));
                if (created !== undefined)
                    return created;
            }
            catch (error) {
                if (!(error instanceof ConflictError))
                    throw error;
            }
            await this.#plan(users, scope);
        }
    }
    async update(id, change, scope) {
        for (;;) {
            const user = await this.get(id, scope);
            const draft = change(user);
            if (draft === undefined)
                return user;
            const changed = toChangedUser(user, draft);
            try {
                if (await this.#database.write(scope, (session) => replaceUser(session, user, draft, changed)))
                    return changed;
            }
            catch (error) {
                if (!(error instanceof ConflictError))
                    throw error;
                const claims = await this.#claims([draft], id, scope);
                claims.claim(draft);
            }
        }
    }
    async delete(id, check, scope) {
        for (;;) {
            const user = await this.get(id, scope);
            check(user);
            if (await this.#database.write(scope, (session) => deleteUser(session, user)))
                return;
        }
    }
    async #plan(users, scope) {
        const claims = await this.#claims(users, "", scope);
        const find = await findRequests(users, (statement, values) => this.#database.read(statement, values, scope));
        return planCreations(users, claims, find);
    }
    async #claims(drafts, id, scope) {
        const emailKeys = drafts.map(({ emailKey }) => emailKey);
        const usernameKeys = drafts.map(({ usernameKey }) => usernameKey).filter((key) => key !== undefined);
        const taken = await this.#database.read(TAKEN, [emailKeys, usernameKeys, id], scope);
        return new Claims(new Set(taken.map(({ email_key }) => email_key)), new Set(taken.map(({ username_key }) => username_key).filter((key) => key !== null)));
    }
}
async function createUsers(session, users) {
    const find = await findRequests(users, (statement, values) => session.query(statement, values));
    const plan = planOptimistically(users, find);
    if (plan === undefined)
        return undefined;
    const now = Date.now();
    const stored = [];
    const requests = [];
    const created = carryOut(plan, (draft) => {
        const user = toNewUser(draft, { id: newUserId(), createdAt: now, updatedAt: now, version: 1 });
        stored.push({ ...user, emailKey: draft.emailKey, usernameKey: draft.usernameKey });
        if (draft.request !== undefined)
            requests.push({ request: draft.request, userId: user.id });
        return user;
    });
    stored.sort((one, other) => (one.emailKey < other.emailKey ? -1 : 1));
    for (let start = 0; start < stored.length; start += USERS_PER_INSERT) {
        await session.query(INSERT, toColumns(stored.slice(start, start + USERS_PER_INSERT)));
    }
    return (await insertRequests(requests, session)) ? created : undefined;
}
function planOptimistically(users, find) {
    try {
        return planCreations(users, new Claims(new Set(), new Set()), find);
    }
    catch {
        return undefined;
    }
}
async function replaceUser(session, user, { emailKey, usernameKey }, changed) {
    const rows = await session.query(UPDATE, [...toRow({ ...changed, emailKey, usernameKey }), user.version]);
    return rows.length === 0 ? undefined : true;
}
async function deleteUser(session, { id, version }) {
    const rows = await session.query(DELETE, [id, version]);
    return rows.length === 0 ? undefined : true;
}
function isStorable(id) {
    return !id.includes("\0");
}
