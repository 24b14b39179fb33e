import { TakenError, UserNotFoundError } from "../domain/errors.js";
import { draftUser, toChangedUser, toUser } from "../domain/user.js";
import { newUserId } from "../domain/user-id.js";
import { Claims } from "./claims.js";
import { carryOut, planCreations } from "./creation-plan.js";
import { KnownRequests } from "./known-requests.js";
import { MemoryChangeLog } from "./memory-change-log.js";
export class MemoryUserRepository {
    #byId = new Map();
    #emailKeys = new Set();
    #usernameKeys = new Set();
    #ordered = [];
    #requests = new KnownRequests();
    #changes;
    constructor(retention) {
        this.#changes = new MemoryChangeLog(retention);
    }
    get changes() {
        return this.#changes;
    }
    async get(id) {
        return this.#get(id);
    }
    async getMany(ids) {
        return ids.map((id) => this.#byId.get(id));
    }
    async list(page) {
        const start = page.after === undefined ? 0 : this.#firstAfter(page.after);
        return this.#ordered.slice(start, start + page.limit);
    }
    isSuspended(id) {
        return this.#byId.get(id)?.status === "suspended";
    }
    async create(users, scope) {
        scope.signal.throwIfAborted();
        const claims = new Claims(this.#emailKeys, this.#usernameKeys);
        try {
            const plan = planCreations(users, claims, (request) => this.#known(request));
            scope.signal.throwIfAborted();
            const now = Date.now();
            return carryOut(plan, (user) => this.#insert(user, now));
        }
        catch (error) {
            claims.release();
            throw error;
        }
    }
    async update(id, change, scope) {
        scope.signal.throwIfAborted();
        const user = this.#get(id);
        const draft = change(user);
        if (draft === undefined)
            return user;
        const before = draftUser(user);
        if (draft.emailKey !== before.emailKey && this.#emailKeys.has(draft.emailKey))
            throw new TakenError("email");
        if (draft.usernameKey !== before.usernameKey && this.#hasUsername(draft.usernameKey))
            throw new TakenError("username");
        scope.signal.throwIfAborted();
        this.#freeKeys(before);
        new Claims(this.#emailKeys, this.#usernameKeys).claim(draft);
        const changed = toChangedUser(user, draft);
        this.#byId.set(id, changed);
        this.#ordered[this.#firstAfter(id) - 1] = changed;
        this.#changes.append("updated", id);
        return changed;
    }
    async delete(id, check, scope) {
        scope.signal.throwIfAborted();
        const user = this.#get(id);
        check(user);
        scope.signal.throwIfAborted();
        this.#freeKeys(draftUser(user));
        this.#byId.delete(id);
        this.#ordered.splice(this.#firstAfter(id) - 1, 1);
        this.#changes.append("deleted", id);
    }
    #get(id) {
        const user = this.#byId.get(id);
        if (user === undefined)
            throw new UserNotFoundError(id);
        return user;
    }
    #known(request) {
        const known = this.#requests.find(request);
        return known && { ...known, user: this.#byId.get(known.userId) };
    }
    #insert(draft, now) {
        const user = toUser(draft, { id: newUserId(), createdAt: now, updatedAt: now, version: 1 });
        this.#byId.set(user.id, user);
        this.#ordered.push(user);
        this.#changes.append("created", user.id);
        if (draft.request !== undefined)
            this.#requests.add(draft.request, user.id);
        return user;
    }
    #freeKeys({ emailKey, usernameKey }) {
        this.#emailKeys.delete(emailKey);
        if (usernameKey !== undefined)
            this.#usernameKeys.delete(usernameKey);
    }
    #hasUsername(key) {
        return key !== undefined && this.#usernameKeys.has(key);
    }
    #firstAfter(id) {
        let low = 0;
        let high = this.#ordered.length;
        while (low < high) {
            const middle = (low + high) >>> 1;
            const user = this.#ordered[middle];
            if (user !== undefined && user.id <= id)
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    }
}
