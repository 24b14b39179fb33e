import { setTimeout } from "node:timers/promises";
import { OutcomeUnknownError, StoreUnavailableError } from "../../domain/errors.js";
import { isRefusal, toRepositoryError } from "./faults.js";
const TIDY_MS = 1000;
const LONGEST_STATEMENT_MS = 2 ** 16;
const SHORTEST_STATEMENT_MS = 2 ** 6;
export class Session {
    #connection;
    #signal;
    #interrupted = Promise.withResolvers();
    #onAbort = () => this.#callOff();
    #running = 0;
    #committing = false;
    #lost = false;
    #cancelled;
    constructor(connection, scope) {
        this.#connection = connection;
        this.#signal = scope.signal;
        this.#interrupted.promise.catch(() => { });
        this.#signal.addEventListener("abort", this.#onAbort);
        connection.limitStatements(statementTimeoutOf(scope));
    }
    async query(statement, values = []) {
        const answer = this.#send({ ...statement, values: [...values] });
        try {
            const { rows } = await Promise.race([answer, this.#interrupted.promise]);
            return rows;
        }
        catch (error) {
            this.#signal.throwIfAborted();
            throw this.#lost ? error : toRepositoryError(error, statement.name);
        }
    }
    begin() {
        this.#send({ text: "BEGIN" }).catch(() => { });
    }
    async commit() {
        this.#signal.throwIfAborted();
        this.#committing = true;
        try {
            await Promise.race([this.#send({ text: "COMMIT" }), this.#interrupted.promise]);
        }
        catch (error) {
            if (!isRefusal(error))
                throw new OutcomeUnknownError(error);
            this.#signal.throwIfAborted();
            throw toRepositoryError(error, "COMMIT");
        }
    }
    lose(cause) {
        this.#lost = true;
        this.#interrupted.reject(new StoreUnavailableError("the database has been lost", cause));
    }
    async end() {
        this.#signal.removeEventListener("abort", this.#onAbort);
        const fit = (this.#running === 0 && this.#isIdle && this.#cancelled === undefined) || (await this.#tidy());
        if (!fit)
            this.#connection.cut();
        return fit;
    }
    get #isIdle() {
        return this.#connection.getTransactionStatus() === "I";
    }
    #callOff() {
        if (this.#committing)
            this.#requestCancel();
        else
            this.#interrupted.reject(this.#signal.reason);
    }
    #requestCancel() {
        this.#cancelled ??= this.#connection.cancelStatement(TIDY_MS);
    }
    async #tidy() {
        if (this.#lost)
            return false;
        if (this.#running > 0)
            this.#requestCancel();
        if ((await this.#cancelled) === false)
            return false;
        const rolledBack = this.#send({ text: "ROLLBACK" }).catch(() => { });
        await Promise.race([rolledBack, setTimeout(TIDY_MS, undefined, { ref: false })]);
        return this.#running === 0 && this.#isIdle;
    }
    async #send(query) {
        this.#running++;
        try {
            return await this.#connection.query(query);
        }
        finally {
            this.#running--;
        }
    }
}
function statementTimeoutOf(scope) {
    const left = scope.timeoutMs?.() ?? LONGEST_STATEMENT_MS;
    const power = 2 ** Math.ceil(Math.log2(Math.max(left, 1)));
    return Math.min(Math.max(power, SHORTEST_STATEMENT_MS), LONGEST_STATEMENT_MS);
}
