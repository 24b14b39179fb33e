import { createHmac } from "node:crypto";

/** Computes the 32 bytes that authenticate some data. */
export type Mac = (data: string | Uint8Array) => Buffer;

/**
 * Makes the message authentication code (HMAC-SHA256) of one purpose. Codes of different purposes tell nothing of each
 * other, though the key is the same.
 */
export function createMac(key: Uint8Array, purpose: string): Mac {
  return (data) => createHmac("sha256", key).update(`user.v1 ${purpose}:`).update(data).digest();
}
