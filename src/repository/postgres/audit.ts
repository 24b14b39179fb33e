import type { Principal } from "../../domain/principal.ts";
import { BLANK_USER, type User } from "../../domain/user.ts";
import type { Session, Statement } from "./session.ts";
import { toStorable } from "./texts.ts";

/** Something that those who operate the service may ask about later: who did it, and when. */
export interface AuditRecord {
  readonly action: "set_role" | "set_status" | "delete_user";
  readonly userId: string;
  readonly oldValue: string | null;
  readonly newValue: string | null;
}

const INSERT: Statement = {
  name: "insert_audit_records",
  text: `INSERT INTO audit_records (author_id, author_role, action, user_id, old_value, new_value)
    SELECT $1, $2, action, user_id, old_value, new_value
    FROM unnest($3::text[], $4::text[], $5::text[], $6::text[]) AS row (action, user_id, old_value, new_value)`,
};

/** What is to be recorded of a new user: a role or a status that users do not have by themselves. */
export function recordsOfCreation({ id: userId, role, status }: User): AuditRecord[] {
  const records: AuditRecord[] = [];
  if (role !== BLANK_USER.role) records.push({ action: "set_role", userId, oldValue: null, newValue: role });
  if (status !== BLANK_USER.status) records.push({ action: "set_status", userId, oldValue: null, newValue: status });
  return records;
}

/** What is to be recorded of a change. */
export function recordsOfChange(before: User, { id: userId, role, status }: User): AuditRecord[] {
  const records: AuditRecord[] = [];
  if (role !== before.role) records.push({ action: "set_role", userId, oldValue: before.role, newValue: role });
  if (status !== before.status)
    records.push({ action: "set_status", userId, oldValue: before.status, newValue: status });
  return records;
}

/** What is to be recorded of a deletion. */
export function recordOfDeletion(userId: string): AuditRecord {
  return { action: "delete_user", userId, oldValue: null, newValue: null };
}

/** Records what `author` does in the transaction of the session. */
export async function record(session: Session, author: Principal, records: readonly AuditRecord[]): Promise<void> {
  if (records.length === 0) return;
  await session.query(INSERT, [
    toStorable(author.id),
    author.role,
    records.map(({ action }) => action),
    records.map(({ userId }) => userId),
    records.map(({ oldValue }) => oldValue),
    records.map(({ newValue }) => newValue),
  ]);
}
