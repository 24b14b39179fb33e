import { expect } from "vitest";
import { BLANK_USER, draftUser, type User, type UserFields } from "../../../src/domain/user.ts";
import {
  type ImportReport,
  type ImportRow,
  type Imports,
  rowCountOf,
  type Upload,
} from "../../../src/repository/imports.ts";
import type { WriteScope } from "../../../src/repository/scope.ts";
import type { UserRepository } from "../../../src/repository/user-repository.ts";
import { draft, everybody, SCOPE } from "./drafts.ts";

/** What the suite holds to the contract: imports, and the users into whom they import. */
export interface Importing {
  readonly users: UserRepository;
  readonly imports: Imports;
}

export const UPLOAD: Upload = { caller: "root", id: "00000000-0000-4000-8000-000000000001", fingerprint: "a file" };
export const NOTHING: ImportReport = { created: 0, updated: 0, skipped: 0, failed: 0, failures: [] };
export const FAULT = { field: "name", reason: "NAME_BLANK", description: "must not be only white space" };

/** A row that gives the user with this address these fields, and for the rest leaves them as they are. */
export function row(email: string, fields: Partial<UserFields> = {}, line = 1): ImportRow {
  const { emailKey, usernameKey } = draft(email, fields);
  const become = (current: User | undefined) =>
    draftUser({ ...BLANK_USER, name: "a name", ...current, ...fields, email });
  return { line, emailKey, usernameKey, become };
}

export function failure(line: number): ImportRow {
  return { failure: { line, ...FAULT } };
}

export function rowsOf(count: number, prefix = "user"): ImportRow[] {
  return Array.from({ length: count }, (_, index) => row(`${prefix}${index}@example.com`, {}, index + 1));
}

/** Applies all rows of an upload, as far as they have not been. */
export async function applyAll(
  imports: Imports,
  rows: readonly ImportRow[],
  { upload = UPLOAD, size = 100, scope = SCOPE }: { upload?: Upload; size?: number; scope?: WriteScope } = {},
): Promise<ImportReport> {
  let report = await imports.begin(upload, scope);
  while (rowCountOf(report) < rows.length) {
    const first = rowCountOf(report);
    report = await imports.apply(upload, first, rows.slice(first, first + size), scope);
    expect(rowCountOf(report), "rows applied").toBeGreaterThan(first);
  }
  return report;
}

/** The fields of everybody, by e-mail address. */
export async function fieldsByEmail(users: UserRepository): Promise<Map<string, Partial<User>>> {
  return new Map((await everybody(users)).map(({ id, createdAt, updatedAt, ...user }) => [user.email, user]));
}
