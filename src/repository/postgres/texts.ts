/** Who somebody is, as PostgreSQL can keep it: a token may name anybody, and PostgreSQL has no text with U+0000. */
export function toStorable(userId: string): string {
  return userId.replaceAll("\0", "\ufffd");
}
