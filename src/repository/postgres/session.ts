import { setTimeout } from "node:timers/promises";
import type { QueryResult } from "pg";
import { OutcomeUnknownError, StoreUnavailableError } from "../../domain/errors.ts";
import type { Cancellable } from "../scope.ts";
import type { Connection } from "./connection.ts";
import { isRefusal, toRepositoryError, withoutValues } from "./faults.ts";

/** A statement that PostgreSQL prepares once for each connection, by its name. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/** How long each step may take, in milliseconds, that makes a connection usable again; it is cut otherwise. */
const TIDY_MS = 1000;

/** What a statement without a deadline may take, in milliseconds: longer than any of them honestly does. */
const LONGEST_STATEMENT_MS = 2 ** 16;
const SHORTEST_STATEMENT_MS = 2 ** 6;

/**
 * Commits. The triggers that wait for the commit, and take the lock of the change log, run in a statement of their own
 * before it, in the same message: statement_timeout stops a statement, but not a COMMIT.
 */
const COMMIT = "SET CONSTRAINTS ALL IMMEDIATE; COMMIT";

/**
 * The use of one connection for one call. What the call awaits fails as soon as the call is called off or the database
 * lost.
 */
export class Session {
  readonly #connection: Connection;
  readonly #signal: AbortSignal;
  readonly #interrupted = Promise.withResolvers<never>();
  readonly #onAbort = (): void => this.#callOff();
  /** Statements that have been sent and not been answered. */
  #running = 0;
  /** The answer to what limits the statements, which must not be cancelled in their place. */
  readonly #limited: Promise<void>;
  #committing = false;
  #lost = false;
  /** Whether a request to cancel has been delivered, once there was one. */
  #cancelled: Promise<boolean> | undefined;

  constructor(connection: Connection, scope: Cancellable) {
    this.#connection = connection;
    this.#signal = scope.signal;
    this.#interrupted.promise.catch(() => {});
    this.#signal.addEventListener("abort", this.#onAbort);
    this.#limited = connection.limitStatements(statementTimeoutOf(scope));
  }

  /**
   * Executes a statement, and returns its rows.
   *
   * @throws StoreUnavailableError if the server cannot be reached, the signal's reason if the call is called off, and
   *   ConflictError or StatementError if the server refuses the statement.
   */
  async query<Row extends object>(statement: Statement, values: readonly unknown[] = []): Promise<Row[]> {
    const { rows } = await this.#answer(this.#send<Row>({ ...statement, values: [...values] }), statement.name);
    return rows;
  }

  /** Begins a transaction. To be awaited: a statement that followed a BEGIN which fails would commit by itself. */
  async begin(): Promise<void> {
    await this.#answer(this.#send({ text: "BEGIN" }), "BEGIN");
  }

  /**
   * Commits the transaction, unless the call has been called off by now. If it is called off meanwhile, the commit
   * either stops, and fails with the signal's reason, or succeeds.
   *
   * @throws OutcomeUnknownError if the connection breaks before the answer.
   */
  async commit(): Promise<void> {
    this.#signal.throwIfAborted();
    this.#committing = true;
    try {
      await Promise.race([this.#send({ text: COMMIT }), this.#interrupted.promise]);
    } catch (error) {
      if (!isRefusal(error)) throw new OutcomeUnknownError(withoutValues(error, "COMMIT"));
      this.#signal.throwIfAborted();
      throw toRepositoryError(error, "COMMIT");
    }
  }

  /** Fails what the call awaits, because the database has been lost. */
  lose(cause: unknown): void {
    this.#lost = true;
    this.#interrupted.reject(new StoreUnavailableError("the database has been lost", cause));
  }

  /** Ends the use. Tells whether the connection is fit for another: nothing runs, and no transaction is open. */
  async end(): Promise<boolean> {
    this.#signal.removeEventListener("abort", this.#onAbort);
    const fit = (this.#running === 0 && this.#isIdle && this.#cancelled === undefined) || (await this.#tidy());
    if (!fit) this.#connection.cut();
    return fit;
  }

  /** Waits for an answer, unless the call is interrupted. */
  async #answer<T>(answer: Promise<T>, statement: string): Promise<T> {
    try {
      return await Promise.race([answer, this.#interrupted.promise]);
    } catch (error) {
      this.#signal.throwIfAborted();
      throw error instanceof StoreUnavailableError ? error : toRepositoryError(error, statement);
    }
  }

  get #isIdle(): boolean {
    return this.#connection.getTransactionStatus() === "I";
  }

  #callOff(): void {
    // The answer to a COMMIT tells whether it has happened, so that is waited for; what may take long in it is a wait
    // for the lock of the change log, which a request to cancel ends.
    if (this.#committing) this.#requestCancel();
    else this.#interrupted.reject(this.#signal.reason);
  }

  #requestCancel(): void {
    this.#cancelled ??= this.#connection.cancelStatement(TIDY_MS);
  }

  /** Stops what runs, and rolls back what is open. */
  async #tidy(): Promise<boolean> {
    if (this.#lost) return false;
    if (!(await inTime(this.#limited))) return false;
    // A request that may yet be delivered would hit the statement of somebody else.
    if (this.#running > 0) this.#requestCancel();
    if ((await this.#cancelled) === false) return false;
    await inTime(this.#send({ text: "ROLLBACK" }).catch(() => {}));
    return this.#running === 0 && this.#isIdle;
  }

  async #send<Row extends object>(query: {
    text: string;
    name?: string;
    values?: unknown[];
  }): Promise<QueryResult<Row>> {
    this.#running++;
    try {
      return await this.#connection.query<Row>(query);
    } finally {
      this.#running--;
    }
  }
}

/** Waits for something that cannot fail, up to TIDY_MS; tells whether it has happened. */
function inTime(happening: Promise<unknown>): Promise<boolean> {
  return Promise.race([happening.then(() => true), setTimeout(TIDY_MS, false, { ref: false })]);
}

/**
 * The limit that the server puts on the statements of a call: should this process be unable to stop a statement when
 * the call's time runs out, the server does it not much later. A power of two, so that a connection seldom has to be
 * told another.
 */
function statementTimeoutOf(scope: Cancellable): number {
  const left = scope.timeoutMs?.() ?? LONGEST_STATEMENT_MS;
  const power = 2 ** Math.ceil(Math.log2(Math.max(left, 1)));
  return Math.min(Math.max(power, SHORTEST_STATEMENT_MS), LONGEST_STATEMENT_MS);
}
