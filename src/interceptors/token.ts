import { type CryptoKey, errors, type JWTPayload, jwtVerify, SignJWT } from "jose";
import { isPrincipalRole, type Principal } from "../domain/principal.ts";
import { UnauthenticatedError } from "../grpc/errors.ts";

/** Which tokens are believed. */
export interface TokenOptions {
  /** The key of their HMAC (HS256), at least 32 bytes. */
  readonly secret: Uint8Array;
  /** The `iss` claim that they must have; undefined for any. */
  readonly issuer?: string | undefined;
  /** The `aud` claim that they must have; undefined for any. */
  readonly audience?: string | undefined;
  /** How many verified tokens are remembered; 10 000 unless told. */
  readonly cacheSize?: number;
}

const DEFAULT_CACHE_SIZE = 10_000;
/** As the contract has it. */
const MAX_ID_BYTES = 128;
/** A longer authorization is refused unread. */
const MAX_AUTHORIZATION_LENGTH = 8192;
/** The authorization that carries a token (RFC 6750). */
const BEARER = /^bearer ([\w.~+/=-]+)$/i;

/**
 * Verifies JSON Web Tokens (RFC 7519): HS256, with `exp` and `sub`, and a `role` of user, admin or service, where none
 * means user. Remembers the tokens it has verified until they expire, because verifying costs as much as a whole call.
 */
export class TokenVerifier {
  readonly #options: TokenOptions;
  /** In the order of insertion; the oldest entry leaves first. */
  readonly #cache = new Map<string, { readonly principal: Principal; readonly expiresAtMs: number }>();
  #key: Promise<CryptoKey> | undefined;

  constructor(options: TokenOptions) {
    this.#options = options;
  }

  /** The principal of an authorization that was verified before and has not expired; undefined for any other. */
  remembered(authorization: string): Principal | undefined {
    const entry = this.#cache.get(authorization);
    if (entry === undefined) return undefined;
    if (entry.expiresAtMs > Date.now()) return entry.principal;
    this.#cache.delete(authorization);
    return undefined;
  }

  /**
   * The principal whom an authorization of the form `Bearer <token>` proves.
   *
   * @throws UnauthenticatedError if it proves none.
   */
  async verify(authorization: string): Promise<Principal> {
    const [, token] = (authorization.length <= MAX_AUTHORIZATION_LENGTH && BEARER.exec(authorization)) || [];
    if (token === undefined) throw new UnauthenticatedError();
    this.#key ??= importKey(this.#options.secret);
    const payload = await this.#payload(token, await this.#key);
    const principal = toPrincipal(payload);
    if (!this.#cache.has(authorization) && this.#cache.size >= (this.#options.cacheSize ?? DEFAULT_CACHE_SIZE))
      this.#forgetOldest();
    this.#cache.set(authorization, { principal, expiresAtMs: Number(payload.exp) * 1000 });
    return principal;
  }

  async #payload(token: string, key: CryptoKey): Promise<JWTPayload> {
    const { issuer, audience } = this.#options;
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: ["HS256"],
        requiredClaims: ["exp", "sub"],
        ...(issuer !== undefined && { issuer }),
        ...(audience !== undefined && { audience }),
      });
      return payload;
    } catch (error) {
      throw error instanceof errors.JOSEError ? new UnauthenticatedError() : error;
    }
  }

  #forgetOldest(): void {
    for (const authorization of this.#cache.keys()) {
      this.#cache.delete(authorization);
      return;
    }
  }
}

/** Makes a token that a TokenVerifier with the same options believes, valid for `lifetimeSeconds` from now. */
export async function signToken(options: TokenOptions, principal: Principal, lifetimeSeconds: number): Promise<string> {
  const token = new SignJWT({ role: principal.role })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(principal.id)
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1000) + lifetimeSeconds);
  if (options.issuer !== undefined) token.setIssuer(options.issuer);
  if (options.audience !== undefined) token.setAudience(options.audience);
  return token.sign(await importKey(options.secret));
}

function toPrincipal({ sub = "", role = "user" }: JWTPayload): Principal {
  if (!isId(sub) || !isPrincipalRole(role)) throw new UnauthenticatedError();
  return { id: sub, role };
}

/** Says whether a text can be somebody's id: as the contract has ids, and as every database can keep them. */
function isId(text: string): boolean {
  const bytes = Buffer.byteLength(text);
  return bytes > 0 && bytes <= MAX_ID_BYTES && text.isWellFormed() && !text.includes("\0");
}

function importKey(secret: Uint8Array): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", Buffer.from(secret), { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
    "verify",
  ]);
}
