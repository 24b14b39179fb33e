import type { JWK } from "jose";
import { readKeySet } from "./public-keys.ts";

const TIMEOUT_MS = 5000;
/** Key sets take a few KiB, a few dozen where their keys bring certificates along. */
const MAX_BYTES = 256 * 1024;

/**
 * Fetches the keys of a JWKS: within 5 s, from this URL and no other, and not more than 256 KiB.
 *
 * @throws Error if that is not possible, or if it is no JWKS.
 */
export async function fetchKeys(url: URL): Promise<JWK[]> {
  const response = await fetch(url, {
    headers: { accept: "application/jwk-set+json, application/json" },
    // Whoever may redirect could name a server with other keys.
    redirect: "error",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`the JWKS was answered with HTTP status ${response.status}`);
  }
  return readKeySet(await readText(response));
}

async function readText({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.length;
    if (length > MAX_BYTES) throw new Error(`the JWKS is larger than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
