import { createHmac, createSecretKey, type KeyObject } from "node:crypto";

/** Computes the 32 bytes that authenticate some data. */
export type Mac = (data: string | Uint8Array) => Buffer;

/** Gives a key of at least 32 unguessable bytes, which may have to be fetched first. */
export type KeySource = () => Uint8Array;

/**
 * Makes the message authentication code (HMAC-SHA256) of one purpose. Codes of different purposes tell nothing of each
 * other, though the key is the same. What `key` throws is thrown.
 */
export function createMac(key: KeySource, purpose: string): Mac {
  return (data) => createHmac("sha256", keyObjectOf(key())).update(`user.v1 ${purpose}:`).update(data).digest();
}

const keyObjects = new WeakMap<Uint8Array, KeyObject>();

/** The key as node:crypto has it, which takes longer to make than a code of a few bytes. */
function keyObjectOf(key: Uint8Array): KeyObject {
  const known = keyObjects.get(key) ?? createSecretKey(key);
  keyObjects.set(key, known);
  return known;
}
