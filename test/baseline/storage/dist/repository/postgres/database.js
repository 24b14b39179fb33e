import pg from "pg";
import { StoreUnavailableError } from "../../domain/errors.js";
import { Connection } from "./connection.js";
import { keepHeartbeat } from "./heartbeat.js";
import { Session } from "./session.js";
const CONNECT_TIMEOUT_MS = 750;
export class Database {
    #config;
    #pool;
    #sessions = new Set();
    #closing = new AbortController();
    #heartbeat = Promise.resolve();
    #lost = new Error("not connected yet");
    constructor({ url, poolSize }) {
        this.#config = { connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS };
        this.#pool = new pg.Pool({ ...this.#config, max: poolSize, Client: Connection });
        this.#pool.on("error", () => { });
    }
    open(prepare, observer) {
        let prepared = false;
        const parts = {
            connect: () => this.#connect(),
            prepare: async (connection) => {
                if (!prepared)
                    await prepare(connection);
                prepared = true;
            },
            onFound: () => {
                this.#lost = undefined;
                observer.onFound();
            },
            onLost: (cause) => {
                this.#lost = cause;
                for (const session of this.#sessions)
                    session.lose(cause);
                observer.onLost(cause);
            },
        };
        this.#heartbeat = keepHeartbeat(parts, this.#closing.signal);
    }
    read(statement, values, scope) {
        return this.#use(scope, (session) => session.query(statement, values));
    }
    write(scope, work) {
        return this.#use(scope, async (session) => {
            session.begin();
            const result = await work(session);
            if (result !== undefined)
                await session.commit();
            return result;
        });
    }
    async close() {
        this.#closing.abort();
        this.#lost = new Error("closed");
        for (const session of this.#sessions)
            session.lose(this.#lost);
        await Promise.all([this.#heartbeat, this.#pool.end()]);
    }
    async #connect() {
        const connection = new Connection(this.#config);
        await connection.connect();
        return connection;
    }
    async #use(scope, work) {
        scope.signal.throwIfAborted();
        const connection = await this.#acquire();
        const session = new Session(connection, scope);
        this.#sessions.add(session);
        try {
            scope.signal.throwIfAborted();
            return await work(session);
        }
        finally {
            this.#sessions.delete(session);
            void session.end().then((fit) => connection.release(!fit));
        }
    }
    async #acquire() {
        this.#requireFound();
        const connection = await this.#pool.connect().catch((error) => {
            const full = this.#pool.totalCount >= this.#pool.options.max;
            throw new StoreUnavailableError(full ? "all connections to the database are in use" : UNAVAILABLE, error);
        });
        try {
            this.#requireFound();
        }
        catch (error) {
            connection.release();
            throw error;
        }
        return connection;
    }
    #requireFound() {
        if (this.#lost !== undefined)
            throw new StoreUnavailableError(UNAVAILABLE, this.#lost);
    }
}
const UNAVAILABLE = "the database is not available";
