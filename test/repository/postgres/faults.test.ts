import pg from "pg";
import { describe, expect, it } from "vitest";
import { StoreUnavailableError } from "../../../src/domain/errors.ts";
import {
  ConflictError,
  isRefusal,
  StatementError,
  toRepositoryError,
  withoutValues,
} from "../../../src/repository/postgres/faults.ts";

/** What a server says that repeats the values of a row. */
const PERSONAL = "personal-ada@example.com";

/** What names parts of the schema, and no values. */
const PLACE = {
  schema: "public",
  table: "users",
  column: "email",
  constraint: "users_email_key",
  routine: "_bt_check",
};

/** All fields of an error that may repeat values. */
const VALUES = { detail: PERSONAL, hint: PERSONAL, where: PERSONAL, internalQuery: PERSONAL, dataType: PERSONAL };

/** An error as a server sends it. */
function serverError(code: string | undefined, message = PERSONAL, fields: Partial<pg.DatabaseError> = {}) {
  const error = new pg.DatabaseError(message, message.length, "error");
  return Object.assign(error, { severity: "ERROR", code, ...VALUES, ...PLACE, ...fields });
}

/** All that an error tells, with its causes. */
function everythingOf(error: unknown): string {
  if (!(error instanceof Error)) return String(JSON.stringify(error));
  const own = Object.getOwnPropertyNames(error).filter((name) => name !== "cause");
  const properties = own.map((name) => `${name}: ${JSON.stringify(Reflect.get(error, name))}`);
  return [String(error), ...properties, everythingOf(error.cause)].join("\n");
}

type Kind = typeof ConflictError | typeof StatementError | typeof StoreUnavailableError;

/** What becomes of an error with each code, and whether the server goes on after it. */
const CODES: readonly (readonly [string, Kind, boolean])[] = [
  ["08000", StoreUnavailableError, false], // connection_exception
  ["08006", StoreUnavailableError, false], // connection_failure
  ["08P01", StoreUnavailableError, false], // protocol_violation
  ["22001", StatementError, true], // string_data_right_truncation
  ["22P02", StatementError, true], // invalid_text_representation
  ["23502", StatementError, true], // not_null_violation
  ["23503", StatementError, true], // foreign_key_violation
  ["23505", ConflictError, true], // unique_violation
  ["23514", StatementError, true], // check_violation
  ["25001", StatementError, true], // active_sql_transaction
  ["25006", StoreUnavailableError, true], // read_only_sql_transaction
  ["25P02", StatementError, true], // in_failed_sql_transaction
  ["25P03", StoreUnavailableError, false], // idle_in_transaction_session_timeout
  ["28P01", StatementError, true], // invalid_password
  ["3D000", StatementError, true], // invalid_catalog_name
  ["40001", ConflictError, true], // serialization_failure
  ["40002", StatementError, true], // transaction_integrity_constraint_violation
  ["40P01", ConflictError, true], // deadlock_detected
  ["42501", StatementError, true], // insufficient_privilege
  ["42601", StatementError, true], // syntax_error
  ["42P01", StatementError, true], // undefined_table
  ["53100", StoreUnavailableError, true], // disk_full
  ["53300", StoreUnavailableError, true], // too_many_connections
  ["55006", StatementError, true], // object_in_use
  ["55P03", StoreUnavailableError, true], // lock_not_available
  ["57014", StoreUnavailableError, true], // query_canceled
  ["57P01", StoreUnavailableError, false], // admin_shutdown
  ["57P02", StoreUnavailableError, false], // crash_shutdown
  ["57P03", StoreUnavailableError, false], // cannot_connect_now
  ["57P05", StoreUnavailableError, false], // idle_session_timeout
  ["58030", StoreUnavailableError, true], // io_error
  ["P0001", StatementError, true], // raise_exception
  ["XX000", StatementError, true], // internal_error
];

describe("an error of PostgreSQL", () => {
  it.each(CODES)("with the code %s becomes %o", (code, kind) => {
    expect(toRepositoryError(serverError(code), "insert_users")).toBeInstanceOf(kind);
  });

  it.each(CODES)("with the code %s (%o) says whether the server goes on: %s", (code, _kind, goesOn) => {
    for (const severity of ["ERROR", "FATAL", "PANIC", "FEHLER", undefined]) {
      expect(isRefusal(serverError(code, PERSONAL, { severity }))).toBe(goesOn);
    }
  });

  it("25P04, with which it ends a transaction that took too long, ends the session", () => {
    expect(isRefusal(serverError("25P04"))).toBe(false);
  });

  it("25P04 says that the server is not available, as others do that end the session", () => {
    expect(toRepositoryError(serverError("25P04"), "insert_users")).toBeInstanceOf(StoreUnavailableError);
  });

  it("without a code is one of the statement, and tells no value", () => {
    const error = toRepositoryError(serverError(undefined), "insert_users");
    expect(error).toBeInstanceOf(StatementError);
    expect(everythingOf(error)).not.toContain(PERSONAL);
  });

  it.each(CODES.filter(([code]) => !code.startsWith("42")))(
    "with the code %s loses the values that it tells",
    (code) => {
      for (const error of [
        toRepositoryError(serverError(code), "insert_users"),
        withoutValues(serverError(code), "insert_users"),
      ]) {
        expect(everythingOf(error)).not.toContain(PERSONAL);
      }
    },
  );

  it.each(["42601", "42P01"])("with the code %s tells its message, and loses what else may hold values", (code) => {
    const error = toRepositoryError(serverError(code, 'relation "users" does not exist'), "insert_users");
    expect(error.message).toBe(`insert_users: ${code}, relation "users" does not exist`);
    expect(everythingOf(error)).not.toContain(PERSONAL);
  });

  it("tells the statement, the code, and what of the schema it is about", () => {
    const { message } = toRepositoryError(serverError("23514", PERSONAL, { column: undefined }), "insert_users");
    expect(message).toBe(
      "insert_users: 23514, schema public, table users, constraint users_email_key, routine _bt_check",
    );
  });

  it("is the cause, without its values, where the server is not available", () => {
    const { cause } = toRepositoryError(serverError("57014"), "insert_users");
    expect(cause).toBeInstanceOf(StatementError);
    expect((cause as Error).message).toContain("insert_users: 57014");
  });
});

describe("an error that did not come from PostgreSQL", () => {
  const BROKEN = [new Error("Connection terminated unexpectedly"), Object.assign(new Error(), { code: "23505" }), "no"];

  it.each(BROKEN)("shows that the server is not available: %o", (cause) => {
    const error = toRepositoryError(cause, "insert_users");
    expect(error).toBeInstanceOf(StoreUnavailableError);
    expect(error.cause).toBe(cause);
    expect(isRefusal(cause)).toBe(false);
    expect(withoutValues(cause, "insert_users")).toBe(cause);
  });
});
