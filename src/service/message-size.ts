import type { User, UserFields } from "../domain/user.ts";

/** What clients receive in one message unless they are told otherwise (4 MiB), less what stands around the users. */
const MAX_BYTES = 4 * 2 ** 20 - 64 * 1024;

/**
 * More than the id, the numbers, tags and lengths of a user's message take, and those of one label or fact, in bytes.
 */
const USER_OVERHEAD = 256;
const ITEM_OVERHEAD = 16;
/** UTF-8 takes at most three bytes for each unit of UTF-16. */
const BYTES_PER_UNIT = 3;

/** How many users, from the first on, surely fit into one message: at least one. */
export function howManyFit(users: readonly User[]): number {
  let bytes = 0;
  for (const [index, user] of users.entries()) {
    bytes += maxSizeOf(user);
    if (bytes > MAX_BYTES) return Math.max(index, 1);
  }
  return users.length;
}

/** What a user takes in a message at most, in bytes. */
export function maxSizeOf({ email, name, username = "", tags, metadata, contact, profile }: UserFields): number {
  const units = email.length + name.length + username.length + (contact?.value.length ?? 0);
  const profileUnits = profile === undefined ? 0 : profile.bio.length + profile.avatarUrl.length;
  let bytes = USER_OVERHEAD + (units + profileUnits) * BYTES_PER_UNIT;
  for (const tag of tags) bytes += ITEM_OVERHEAD + tag.length * BYTES_PER_UNIT;
  for (const [key, value] of metadata) bytes += ITEM_OVERHEAD + (key.length + value.length) * BYTES_PER_UNIT;
  return bytes;
}
