/** Who somebody is, as PostgreSQL can keep it: a token may name anybody, and PostgreSQL has no text with U+0000. */
export function toStorable(userId: string): string {
  return userId.replaceAll("\0", "\ufffd");
}

/** PostgreSQL has no text with U+0000, so no user has such an id. */
export function isStorable(id: string): boolean {
  return !id.includes("\0");
}
