import { createPublicKey, type JsonWebKey, type KeyObject } from "node:crypto";
import { type CryptoKey, createLocalJWKSet, type JWK, type JWSHeaderParameters } from "jose";

/**
 * The signatures that tokens may have where keys are public (RFC 7518, RFC 8037; Ed25519 is EdDSA's name in RFC 9864).
 */
export const PUBLIC_KEY_ALGORITHMS: readonly string[] = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"];

/** Fewer bits can be factored, and RFC 7518 forbids them. */
const MIN_RSA_BITS = 2048;

/** Members of a JWK that only a private or a symmetric key has (RFC 7518). */
const SECRET_MEMBERS = ["d", "k", "priv"];

/** What was given as public keys cannot verify tokens. The message says what it has to be, and shows nothing of it. */
export class UnfitKeyError extends Error {
  override readonly name = "UnfitKeyError";
}

/**
 * Finds the key that a token must be signed for, by the `alg` and the `kid` of its header alone; see jose's
 * createLocalJWKSet.
 */
export type FindKey = (header: JWSHeaderParameters) => Promise<CryptoKey>;

/**
 * Reads the keys of a file: a public key (SPKI) or an X.509 certificate as PEM, of which only the key counts, or a JWK
 * or a JWKS as JSON (RFC 7517).
 *
 * @throws UnfitKeyError if there is none, or if one of them is not fit.
 */
export function readPublicKeys(text: string): JWK[] {
  if (!text.trimStart().startsWith("{")) return [readPem(text)];
  const value = parseJson(text);
  const keys = keysOf(value) ?? [value];
  if (keys.length === 0) throw new UnfitKeyError("must hold a key");
  return keys.map(toFitKey);
}

/**
 * Reads the keys of a JWKS that may hold others too, for encryption, say: those that are not fit are left out.
 *
 * @throws UnfitKeyError if it is no JWKS.
 */
export function readKeySet(text: string): JWK[] {
  const keys = keysOf(parseJson(text));
  if (keys === undefined) throw new UnfitKeyError("must be a JWKS");
  return keys.flatMap((key) => {
    try {
      return [toFitKey(key)];
    } catch {
      return [];
    }
  });
}

/** Finds keys among these. If none of them has a `kid`, that of the token does not matter. */
export function findKeyIn(keys: readonly JWK[]): FindKey {
  const find = createLocalJWKSet({ keys: [...keys] });
  const named = keys.some(({ kid }) => kid !== undefined);
  // Of what a header may hold, `jku`, `x5u`, `jwk` and `x5c` would say where to find a key: they are not even looked
  // at.
  return ({ alg, kid }) => find({ ...(alg !== undefined && { alg }), ...(named && kid !== undefined && { kid }) });
}

function readPem(text: string): JWK {
  if (text.includes("PRIVATE KEY-----")) throw new UnfitKeyError("must hold no private key");
  if (text.split("-----BEGIN ").length !== 2)
    throw new UnfitKeyError("must hold one key or certificate as PEM, or a JWKS");
  return toJwk(publicKeyOf(text));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UnfitKeyError("must be JSON");
  }
}

function keysOf(value: unknown): unknown[] | undefined {
  return isRecord(value) && Array.isArray(value.keys) ? value.keys : undefined;
}

function toFitKey(jwk: unknown): JWK {
  if (!isRecord(jwk)) throw new UnfitKeyError("must hold keys that are objects");
  if (SECRET_MEMBERS.some((member) => member in jwk)) throw new UnfitKeyError("must hold no private key");
  const { use = "sig", key_ops: operations = ["verify"], alg, kid } = jwk;
  if (use !== "sig" || !Array.isArray(operations) || !operations.includes("verify"))
    throw new UnfitKeyError("must hold keys that are meant to verify signatures");
  if (alg !== undefined && !PUBLIC_KEY_ALGORITHMS.includes(String(alg)))
    throw new UnfitKeyError(`must hold keys for ${PUBLIC_KEY_ALGORITHMS.join(", ")}`);
  return {
    ...toJwk(publicKeyOf({ key: jwk as JsonWebKey, format: "jwk" })),
    ...(alg !== undefined && { alg: String(alg) }),
    ...(kid !== undefined && { kid: String(kid) }),
  };
}

function publicKeyOf(given: Parameters<typeof createPublicKey>[0]): KeyObject {
  try {
    return createPublicKey(given);
  } catch {
    throw new UnfitKeyError("must hold a public key or a certificate that can be read");
  }
}

function toJwk(key: KeyObject): JWK {
  const { asymmetricKeyType: type, asymmetricKeyDetails: { modulusLength = 0, namedCurve } = {} } = key;
  const fit =
    (type === "rsa" && modulusLength >= MIN_RSA_BITS) ||
    (type === "ec" && namedCurve === "prime256v1") ||
    type === "ed25519";
  if (!fit) throw new UnfitKeyError(`must hold keys that are RSA of ${MIN_RSA_BITS} bits or more, EC P-256 or Ed25519`);
  return key.export({ format: "jwk" }) as JWK;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
