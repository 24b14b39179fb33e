/**
 * Says whether a text is a key of metadata as the contract demands it, and so no object's own business, such as
 * `__proto__`.
 */
export function isMetadataKey(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(text);
}
