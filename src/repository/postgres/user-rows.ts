import {
  type Contact,
  type Profile,
  toMetadata,
  type User,
  type UserDraft,
  type UserFields,
} from "../../domain/user.ts";

/** A user as the table has them: with the keys that make addresses and usernames unique. */
export type StoredUser = User & Pick<UserDraft, "emailKey" | "usernameKey">;

interface Column {
  readonly name: string;
  /** The type of a parameter that holds a value of the column. */
  readonly type: string;
  readonly read: (user: StoredUser) => string | number | null;
}

/** The columns that are given their values from outside. */
const COLUMNS: readonly Column[] = [
  { name: "id", type: "text", read: ({ id }) => id },
  { name: "version", type: "integer", read: ({ version }) => version },
  { name: "email", type: "text", read: ({ email }) => email },
  { name: "email_key", type: "text", read: ({ emailKey }) => emailKey },
  { name: "name", type: "text", read: ({ name }) => name },
  { name: "role", type: "text", read: ({ role }) => role },
  { name: "status", type: "text", read: ({ status }) => status },
  { name: "username", type: "text", read: ({ username }) => username ?? null },
  { name: "username_key", type: "text", read: ({ usernameKey }) => usernameKey ?? null },
  { name: "age", type: "smallint", read: ({ age }) => age ?? null },
  { name: "tags", type: "text[]", read: ({ tags }) => toArrayLiteral(tags) },
  { name: "metadata", type: "jsonb", read: ({ metadata }) => JSON.stringify(Object.fromEntries(metadata)) },
  { name: "contact_kind", type: "text", read: ({ contact }) => contact?.kind ?? null },
  { name: "contact_value", type: "text", read: ({ contact }) => contact?.value ?? null },
  { name: "bio", type: "text", read: ({ profile }) => profile?.bio ?? null },
  { name: "avatar_url", type: "text", read: ({ profile }) => profile?.avatarUrl ?? null },
  { name: "created_at", type: "timestamptz", read: ({ createdAt }) => toTimestamp(createdAt) },
  { name: "updated_at", type: "timestamptz", read: ({ updatedAt }) => toTimestamp(updatedAt) },
];

/** The names of the columns, for an INSERT or an UPDATE. */
export const COLUMN_NAMES = COLUMNS.map(({ name }) => name).join(", ");

/** What an INSERT selects from parameters that each hold all values of a column, from $1 on. */
export const INSERTED_ROWS = `SELECT ${COLUMNS.map(({ name, type }) => `${name}::${type}`).join(", ")}
  FROM unnest(${COLUMNS.map(({ type }, index) => `$${index + 1}::${elementOf(type)}[]`).join(", ")}) AS row (${COLUMN_NAMES})`;

/** An UPDATE of users to what parameters say that each hold all values of a column, from $1 on. */
export const REPLACED_ROWS = `UPDATE users SET (${COLUMN_NAMES}) = (${COLUMNS.map(({ name }) => `new.${name}`).join(", ")})
  FROM (${INSERTED_ROWS}) AS new WHERE users.id = new.id`;

/** A row of one parameter for each column, from $1 on, for an UPDATE. */
export const UPDATED_ROW = `(${COLUMNS.map(({ type }, index) => `$${index + 1}::${type}`).join(", ")})`;

/** How many parameters the columns take. */
export const COLUMN_COUNT = COLUMNS.length;

/** The values of a user, one for each column. */
export function toRow(user: StoredUser): unknown[] {
  return COLUMNS.map(({ read }) => read(user));
}

/** The values of users: for each column, those of all of them. */
export function toColumns(users: readonly StoredUser[]): unknown[][] {
  return COLUMNS.map(({ read }) => users.map(read));
}

/** What is selected of a user. */
export const SELECTED = `id, version, email, name, role, status, username, age, tags, metadata,
  contact_kind, contact_value, bio, avatar_url, ${toMs("created_at")} AS created_at, ${toMs("updated_at")} AS updated_at`;

/** A row of SELECTED. */
export interface UserRow extends Pick<UserFields, "email" | "name" | "role" | "status" | "tags"> {
  readonly id: string;
  readonly version: number;
  readonly username: string | null;
  readonly age: number | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly contact_kind: Contact["kind"] | null;
  readonly contact_value: string | null;
  readonly bio: string | null;
  readonly avatar_url: string | null;
  readonly created_at: number;
  readonly updated_at: number;
}

/** The user in a row. */
export function fromRow(row: UserRow): User {
  return {
    id: row.id,
    email: row.email,
    name: row.name,
    createdAt: row.created_at,
    role: row.role,
    updatedAt: row.updated_at,
    version: row.version,
    username: row.username ?? undefined,
    age: row.age ?? undefined,
    status: row.status,
    tags: row.tags,
    // jsonb has an order of its own.
    metadata: toMetadata(row.metadata),
    contact: toContact(row),
    profile: toProfile(row),
  };
}

/** An expression for a time in milliseconds since the Unix epoch. */
export function toMs(time: string): string {
  return `(extract(epoch FROM ${time}) * 1000)::bigint`;
}

/** A time, given in milliseconds since the Unix epoch, as PostgreSQL reads it. */
export function toTimestamp(ms: number): string {
  return new Date(ms).toISOString();
}

/** PostgreSQL has no arrays of arrays of different lengths: an array within one goes as text. */
function elementOf(type: string): string {
  return type.endsWith("[]") ? "text" : type;
}

function toArrayLiteral(texts: readonly string[]): string {
  return `{${texts.map((text) => `"${text.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;
}

function toContact({ contact_kind: kind, contact_value: value }: UserRow): Contact | undefined {
  return kind === null || value === null ? undefined : { kind, value };
}

function toProfile({ bio, avatar_url: avatarUrl }: UserRow): Profile | undefined {
  return bio === null || avatarUrl === null ? undefined : { bio, avatarUrl };
}
