import { ChangesExpiredError } from "../domain/errors.js";
export class MemoryChangeLog {
    #retention;
    #userIds = [];
    #kinds = [];
    #times = [];
    #start = 0;
    #offset = 1;
    constructor(retention) {
        this.#retention = retention;
    }
    append(kind, userId) {
        this.#userIds.push(userId);
        this.#kinds.push(kind);
        this.#times.push(Date.now());
        this.#forget();
    }
    async latest() {
        return this.#latest;
    }
    async list({ after, limit }) {
        this.#forget();
        const from = after + 1 - this.#offset;
        if (from < this.#start)
            throw new ChangesExpiredError();
        return this.#userIds.slice(from, from + limit).map((userId, index) => ({
            revision: after + 1 + index,
            userId,
            kind: this.#kinds[from + index],
            changedAt: this.#times[from + index],
        }));
    }
    get #latest() {
        return this.#offset + this.#userIds.length - 1;
    }
    #forget() {
        const { maxCount, maxAgeMs } = this.#retention;
        const oldest = Date.now() - maxAgeMs;
        this.#start = Math.max(this.#start, this.#userIds.length - maxCount);
        while ((this.#times[this.#start] ?? Number.POSITIVE_INFINITY) < oldest)
            this.#start++;
        if (this.#start <= this.#userIds.length / 2)
            return;
        for (const column of [this.#userIds, this.#kinds, this.#times])
            column.splice(0, this.#start);
        this.#offset += this.#start;
        this.#start = 0;
    }
}
