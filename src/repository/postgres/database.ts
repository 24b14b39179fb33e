import pg from "pg";
import { StoreUnavailableError } from "../../domain/errors.ts";
import type { Cancellable } from "../scope.ts";
import { Connection } from "./connection.ts";
import { keepHeartbeat } from "./heartbeat.ts";
import { Session, type Statement } from "./session.ts";

/** How long a call waits for a connection, and a new connection for the server, in milliseconds. */
const CONNECT_TIMEOUT_MS = 750;

/** How long a connection that nobody uses is kept, in milliseconds. */
const IDLE_TIMEOUT_MS = 60_000;

const UNAVAILABLE = "the database is not available";

/** What a database is reached by. */
export interface DatabaseOptions {
  readonly url: string;
  /** How many connections calls may use at a time. One more watches over the database. */
  readonly poolSize: number;
}

/** Is told what becomes of the database. */
export interface DatabaseObserver {
  /** Calls can be served from now on. */
  onFound(): void;
  /** Calls cannot be served, and those under way fail. Said again at each attempt to change that. */
  onLost(cause: unknown): void;
}

/** A pooled connection, which its user gives back. */
type PooledConnection = Connection & pg.PoolClient;

/**
 * A PostgreSQL database, which may come and go. While it cannot be reached, every call fails at once, as do those that
 * are under way when it is lost: nobody waits for an answer that does not come.
 */
export class Database {
  readonly #config: pg.ClientConfig;
  readonly #pool: pg.Pool;
  /** Those of the pool. */
  readonly #connections = new Set<Connection>();
  readonly #sessions = new Set<Session>();
  readonly #closing = new AbortController();
  #heartbeat: Promise<void> = Promise.resolve();
  /** Why the database cannot be used; undefined if it can. */
  #lost: unknown = new Error("not connected yet");

  constructor({ url, poolSize }: DatabaseOptions) {
    this.#config = { connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS };
    const pooling = { max: poolSize, idleTimeoutMillis: IDLE_TIMEOUT_MS, Client: Connection as typeof pg.Client };
    this.#pool = new pg.Pool({ ...this.#config, ...pooling });
    // The pool makes all of them of `Client`, which its types do not say.
    this.#pool.on("connect", (connection) => this.#connections.add(connection as unknown as Connection));
    this.#pool.on("remove", (connection) => this.#connections.delete(connection as unknown as Connection));
    // A connection that breaks while nobody uses it leaves the pool, and that is all there is to it.
    this.#pool.on("error", () => {});
  }

  /** Begins to look for the database. Each time that it is found, `prepare` must succeed before calls are served. */
  open(prepare: (connection: Connection, signal: AbortSignal) => Promise<void>, observer: DatabaseObserver): void {
    const parts = {
      connect: () => this.#connect(),
      prepare,
      onFound: () => {
        this.#lost = undefined;
        observer.onFound();
      },
      onLost: (cause: unknown) => {
        this.#lost = cause;
        for (const session of this.#sessions) session.lose(cause);
        // They may be silent for ever, though the database is found again over new ones.
        for (const connection of this.#connections) connection.cut();
        observer.onLost(cause);
      },
    };
    this.#heartbeat = keepHeartbeat(parts, this.#closing.signal);
  }

  /** Executes a statement that only reads, and returns its rows. Fails as Session.query does. */
  read<Row extends object>(statement: Statement, values: readonly unknown[], scope: Cancellable): Promise<Row[]> {
    return this.#use(scope, (session) => session.query<Row>(statement, values));
  }

  /**
   * Does some work in a transaction (READ COMMITTED), which is committed if the work returns something, and rolled back
   * if it returns undefined or fails. Fails as the work does, or as Session.commit does.
   */
  write<T>(scope: Cancellable, work: (session: Session) => Promise<T | undefined>): Promise<T | undefined> {
    return this.#use(scope, async (session) => {
      await session.begin();
      const result = await work(session);
      if (result !== undefined) await session.commit();
      return result;
    });
  }

  /** Closes all connections; calls that are under way fail. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#lost = new Error("closed");
    for (const session of this.#sessions) session.lose(this.#lost);
    const closed = this.#pool.end();
    // A goodbye would wait for the server, which may be silent.
    for (const connection of this.#connections) connection.cut();
    await Promise.all([this.#heartbeat, closed]);
  }

  async #connect(): Promise<Connection> {
    const connection = new Connection(this.#config);
    await connection.connect();
    return connection;
  }

  async #use<T>(scope: Cancellable, work: (session: Session) => Promise<T>): Promise<T> {
    scope.signal.throwIfAborted();
    const connection = await this.#acquire(scope);
    const session = new Session(connection, scope);
    this.#sessions.add(session);
    try {
      return await work(session);
    } finally {
      this.#sessions.delete(session);
      void session.end().then((fit) => connection.release(!fit));
    }
  }

  async #acquire({ signal }: Cancellable): Promise<PooledConnection> {
    this.#requireFound();
    const connection = await this.#pool.connect().catch((error: unknown) => {
      const full = this.#pool.totalCount >= this.#pool.options.max;
      throw new StoreUnavailableError(full ? "all connections to the database are in use" : UNAVAILABLE, error);
    });
    try {
      // The wait may have been long.
      signal.throwIfAborted();
      this.#requireFound();
    } catch (error) {
      connection.release();
      throw error;
    }
    return connection as unknown as PooledConnection;
  }

  #requireFound(): void {
    // Why, has been logged.
    if (this.#lost !== undefined) throw new StoreUnavailableError(UNAVAILABLE);
  }
}

/** What Database.write returns where the work always returns something. */
export function committed<T>(result: T | undefined): T {
  if (result === undefined) throw new Error("the transaction was rolled back");
  return result;
}
