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
  "55P03", // lock_not_available
]);
const CONFLICT_CODES = new Set([
  "23505", // unique_violation
  "40001", // serialization_failure
  "40P01", // deadlock_detected
]);

/** A transaction met with another one that was faster. It has been rolled back, and may be tried again. */
export class ConflictError extends Error {
  override readonly name = "ConflictError";

  constructor() {
    super("another transaction was faster");
  }
}

/** A statement failed for a reason of its own, which is a fault of this program. Tells none of its values, which are personal. */
export class StatementError extends Error {
  override readonly name = "StatementError";

  constructor({ code, severity, schema, table, column, constraint, routine }: pg.DatabaseError, statement: string) {
    const where = Object.entries({ schema, table, column, constraint, routine });
    const known = where.flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${value}`]));
    super(`${statement}: ${severity} ${code} (${known.join(", ")})`);
  }
}

/** Says whether the server has refused a statement and goes on, so that the transaction has certainly not committed. */
export function isRefusal(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.severity === "ERROR";
}

/**
 * What the repository fails with when `pg` fails with `error`: a ConflictError, a StoreUnavailableError or a StatementError.
 * What did not come from the server shows that the connection is broken.
 */
export function toRepositoryError(error: unknown, statement: string): Error {
  const code = error instanceof pg.DatabaseError ? (error.code ?? "") : undefined;
  if (code !== undefined && CONFLICT_CODES.has(code)) return new ConflictError();
  if (code === undefined || UNAVAILABLE_CLASSES.has(code.slice(0, 2)) || UNAVAILABLE_CODES.has(code)) {
    return new StoreUnavailableError("the database is not available", error);
  }
  return new StatementError(error as pg.DatabaseError, statement);
}
