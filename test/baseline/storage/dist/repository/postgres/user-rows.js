const COLUMNS = [
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
export const COLUMN_NAMES = COLUMNS.map(({ name }) => name).join(", ");
export const ROWS_OF_PARAMETERS = `SELECT ${COLUMNS.map(({ name, type }) => `${name}::${type}`).join(", ")}
  FROM unnest(${COLUMNS.map(({ type }, index) => `$${index + 1}::${elementOf(type)}[]`).join(", ")}) AS row (${COLUMN_NAMES})`;
export const ROW_OF_PARAMETERS = `(${COLUMNS.map(({ type }, index) => `$${index + 1}::${type}`).join(", ")})`;
export const COLUMN_COUNT = COLUMNS.length;
export function toRow(user) {
    return COLUMNS.map(({ read }) => read(user));
}
export function toColumns(users) {
    return COLUMNS.map(({ read }) => users.map(read));
}
export const SELECTED = `id, version, email, name, role, status, username, age, tags, metadata,
  contact_kind, contact_value, bio, avatar_url, ${toMs("created_at")} AS created_at, ${toMs("updated_at")} AS updated_at`;
export function toUser(row) {
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
        metadata: toPairs(row.metadata),
        contact: toContact(row),
        profile: toProfile(row),
    };
}
export function toMs(time) {
    return `(extract(epoch FROM ${time}) * 1000)::bigint`;
}
export function toTimestamp(ms) {
    return new Date(ms).toISOString();
}
function elementOf(type) {
    return type.endsWith("[]") ? "text" : type;
}
function toArrayLiteral(texts) {
    return `{${texts.map((text) => `"${text.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;
}
function toPairs(metadata) {
    return Object.entries(metadata).sort(([one], [other]) => (one < other ? -1 : 1));
}
function toContact({ contact_kind: kind, contact_value: value }) {
    return kind === null || value === null ? undefined : { kind, value };
}
function toProfile({ bio, avatar_url: avatarUrl }) {
    return bio === null || avatarUrl === null ? undefined : { bio, avatarUrl };
}
