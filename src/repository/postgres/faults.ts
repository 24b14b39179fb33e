import pg from "pg";
import { StoreUnavailableError } from "../../domain/errors.ts";

/** Classes of SQLSTATE codes that say nothing about the statement, but that the server cannot serve it now. */
const UNAVAILABLE_CLASSES = new Set([
  "08", // connection exception
  "53", // insufficient resources
  "57", // operator intervention: shutdown, recovery, a cancelled statement
  "58", // system error
]);
const UNAVAILABLE_CODES = new Set([
  "25006", // read_only_sql_transaction: the server is a standby now
  "25P03", // idle_in_transaction_session_timeout
  "25P04", // transaction_timeout
  "55P03", // lock_not_available
]);
const CONFLICT_CODES = new Set([
  "23505", // unique_violation
  "40001", // serialization_failure
  "40P01", // deadlock_detected
]);

/** Of what ends the session: connection exceptions, shutdowns, and sessions or transactions that took too long. */
const ENDS_SESSION = /^(08...|57P..|25P0[34])$/;

/** A transaction met with another one that was faster. It has been rolled back, and may be tried again. */
export class ConflictError extends Error {
  override readonly name = "ConflictError";

  constructor() {
    super("another transaction was faster");
  }
}

/** What PostgreSQL has against a statement. Tells none of the values, which may be personal. */
export class StatementError extends Error {
  override readonly name = "StatementError";

  constructor({ code, message, schema, table, column, constraint, routine }: pg.DatabaseError, statement: string) {
    const where = Object.entries({ schema, table, column, constraint, routine });
    const known = where.flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${value}`]));
    // Syntax errors and the like name tables and columns, and no more.
    const what = code?.startsWith("42") ? message : known.join(", ");
    super(`${statement}: ${code}, ${what}`);
  }
}

/** Says whether the server has refused a statement and goes on, so that the transaction has certainly not committed. */
export function isRefusal(error: unknown): boolean {
  // Not by the severity, which the server tells in its own language.
  return error instanceof pg.DatabaseError && !ENDS_SESSION.test(error.code ?? "");
}

/**
 * What the repository fails with when `pg` fails with `error`: a ConflictError, a StoreUnavailableError or a
 * StatementError. What did not come from the server shows that the connection is broken.
 */
export function toRepositoryError(error: unknown, statement: string): Error {
  if (!(error instanceof pg.DatabaseError)) return new StoreUnavailableError("the database is not available", error);
  const { code = "" } = error;
  if (CONFLICT_CODES.has(code)) return new ConflictError();
  const fault = new StatementError(error, statement);
  const unavailable = UNAVAILABLE_CLASSES.has(code.slice(0, 2)) || UNAVAILABLE_CODES.has(code);
  return unavailable ? new StoreUnavailableError("the database is not available", fault) : fault;
}

/** The same error, but without the values that an error of PostgreSQL tells. */
export function withoutValues(error: unknown, statement: string): unknown {
  return error instanceof pg.DatabaseError ? new StatementError(error, statement) : error;
}
