import pg from "pg";
import { StoreUnavailableError } from "../../domain/errors.js";
const UNAVAILABLE_CLASSES = new Set([
    "08",
    "53",
    "57",
    "58",
]);
const UNAVAILABLE_CODES = new Set([
    "25006",
    "25P03",
    "55P03",
]);
const CONFLICT_CODES = new Set([
    "23505",
    "40001",
    "40P01",
]);
export class ConflictError extends Error {
    name = "ConflictError";
    constructor() {
        super("another transaction was faster");
    }
}
export class StatementError extends Error {
    name = "StatementError";
    constructor({ code, severity, schema, table, column, constraint, routine }, statement) {
        const where = Object.entries({ schema, table, column, constraint, routine });
        const known = where.flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${value}`]));
        super(`${statement}: ${severity} ${code} (${known.join(", ")})`);
    }
}
export function isRefusal(error) {
    return error instanceof pg.DatabaseError && error.severity === "ERROR";
}
export function toRepositoryError(error, statement) {
    const code = error instanceof pg.DatabaseError ? (error.code ?? "") : undefined;
    if (code !== undefined && CONFLICT_CODES.has(code))
        return new ConflictError();
    if (code === undefined || UNAVAILABLE_CLASSES.has(code.slice(0, 2)) || UNAVAILABLE_CODES.has(code)) {
        return new StoreUnavailableError("the database is not available", error);
    }
    return new StatementError(error, statement);
}
