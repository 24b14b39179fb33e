import type { CryptoKey, JWK } from "jose";
import { type FindKey, findKeyIn, PUBLIC_KEY_ALGORITHMS } from "./public-keys.ts";
import { type KeyReports, RemoteKeys } from "./remote-keys.ts";

/** Where the keys of tokens come from. */
export type KeySource =
  | {
      readonly kind: "secret";
      /** The key of an HMAC, at least 32 bytes. */
      readonly secret: Uint8Array;
    }
  | {
      readonly kind: "public";
      /** As readPublicKeys gives them; at least one. */
      readonly keys: readonly JWK[];
    }
  | {
      readonly kind: "remote";
      /** Of a JWKS (RFC 7517). */
      readonly url: URL;
    };

/** The keys that tokens are verified with. */
export interface TokenKeys {
  /**
   * The signatures that keys of this kind make. A token with another one, or with none, is refused before a key is
   * sought.
   */
  readonly algorithms: readonly string[];
  /**
   * Finds the key that a token with this header must be signed with.
   *
   * @throws JOSEError of jose if there is none, or if several fit (JWKSMultipleMatchingKeys, which yields them).
   * @throws TokenKeysUnavailableError if nobody can say now.
   */
  readonly find: FindKey;
  /**
   * For how many milliseconds from now a token that has been verified may be remembered: it may have lost its key then.
   */
  trustedForMs(): number;
}

/** The keys of a source. `reports` is told what becomes of those that are fetched. */
export function createTokenKeys(source: KeySource, reports: KeyReports): TokenKeys {
  switch (source.kind) {
    case "secret":
      return { algorithms: ["HS256"], find: findSecret(source.secret), trustedForMs: forever };
    case "public":
      return { algorithms: PUBLIC_KEY_ALGORITHMS, find: findKeyIn(source.keys), trustedForMs: forever };
    case "remote":
      return RemoteKeys.at(source.url, reports);
  }
}

/** The key of an HMAC (HS256). */
export function importSecret(secret: Uint8Array): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", Buffer.from(secret), { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
    "verify",
  ]);
}

function findSecret(secret: Uint8Array): FindKey {
  let key: Promise<CryptoKey> | undefined;
  return () => {
    key ??= importSecret(secret);
    return key;
  };
}

function forever(): number {
  return Number.POSITIVE_INFINITY;
}
