import { haveSameFields, type User, type UserDraft, usernameKeyOf } from "../domain/user.ts";
import { type ImportReport, type ImportRow, MAX_FAILURES, type RowFailure } from "./imports.ts";

/** Who is there, as far as it matters to some rows. */
export interface KnownUsers {
  withEmail(emailKey: string): User | undefined;
  /** The id of the user who has a username. */
  ownerOf(usernameKey: string): string | undefined;
}

/** What is to be done for some rows, and what becomes of them by it. */
export interface ImportPlan {
  readonly creations: readonly UserDraft[];
  readonly changes: readonly { readonly user: User; readonly draft: UserDraft }[];
  readonly report: ImportReport;
}

/** The report of an upload of which nothing has been applied. */
export const EMPTY_REPORT: ImportReport = { created: 0, updated: 0, skipped: 0, failed: 0, failures: [] };

const USERNAME_TAKEN = {
  field: "username",
  reason: "USERNAME_TAKEN",
  description: "must not be the username of another user",
};

/** The rows up to the first that names an e-mail address or a username which an earlier one has named. */
export function withoutRepetition(rows: readonly ImportRow[]): readonly ImportRow[] {
  const emails = new Set<string>();
  const usernames = new Set<string>();
  const end = rows.findIndex((row) => {
    if ("failure" in row) return false;
    const { emailKey, usernameKey } = row;
    if (emails.has(emailKey) || (usernameKey !== undefined && usernames.has(usernameKey))) return true;
    emails.add(emailKey);
    if (usernameKey !== undefined) usernames.add(usernameKey);
    return false;
  });
  return end === -1 ? rows : rows.slice(0, end);
}

/**
 * Decides what becomes of rows that do not repeat themselves, from the first one on. Ends before a row that wants the
 * username which an earlier one makes free, because the database would judge the two in any order.
 */
export function planImports(rows: readonly ImportRow[], known: KnownUsers): ImportPlan {
  const creations: UserDraft[] = [];
  const changes: { user: User; draft: UserDraft }[] = [];
  const failures: RowFailure[] = [];
  const freed = new Set<string>();
  let skipped = 0;
  for (const row of rows) {
    if ("failure" in row) {
      failures.push(row.failure);
      continue;
    }
    const { line, emailKey, become } = row;
    const user = known.withEmail(emailKey);
    const draft = become(user);
    if ("reason" in draft) {
      failures.push({ line, ...draft });
      continue;
    }
    if (user !== undefined && haveSameFields(user, draft)) {
      skipped++;
      continue;
    }
    const { usernameKey } = draft;
    const before = usernameKeyOf(user?.username);
    if (usernameKey !== undefined && usernameKey !== before) {
      if (freed.has(usernameKey)) break;
      if (known.ownerOf(usernameKey) !== undefined) {
        failures.push({ line, ...USERNAME_TAKEN });
        continue;
      }
    }
    if (before !== undefined && before !== usernameKey) freed.add(before);
    if (user === undefined) creations.push(draft);
    else changes.push({ user, draft });
  }
  const [created, updated, failed] = [creations.length, changes.length, failures.length];
  return { creations, changes, report: { created, updated, skipped, failed, failures } };
}

/** What has become of all rows of two reports, of which the second goes on after the first. */
export function joinReports(one: ImportReport, next: ImportReport): ImportReport {
  return {
    created: one.created + next.created,
    updated: one.updated + next.updated,
    skipped: one.skipped + next.skipped,
    failed: one.failed + next.failed,
    failures: [...one.failures, ...next.failures].slice(0, MAX_FAILURES),
  };
}
