import { errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify, SignJWT } from "jose";
import { isPrincipalRole, type Principal } from "../domain/principal.ts";
import { UnauthenticatedError } from "../grpc/errors.ts";
import { MAX_AUTHORIZATION_LENGTH } from "../grpc/header-list.ts";
import type { Identity } from "./identity.ts";
import { importSecret, type TokenKeys } from "./token-keys.ts";

/** What tokens must say besides who calls. */
export interface TokenClaims {
  /** The `iss` claim that they must have; undefined for any. */
  readonly issuer?: string | undefined;
  /** The `aud` claim that they must have; undefined for any. */
  readonly audience?: string | undefined;
}

/** How tokens are made. */
export interface SigningOptions extends TokenClaims {
  /** The key of their HMAC. */
  readonly secret: Uint8Array;
}

/** Which tokens are believed. */
export interface TokenOptions extends TokenClaims {
  readonly keys: TokenKeys;
  /** How many verified tokens are remembered; 10 000 unless told. */
  readonly cacheSize?: number;
}

/** A token that was verified. */
interface Remembered extends Identity {
  /** Milliseconds since the epoch. */
  readonly untilMs: number;
}

const DEFAULT_CACHE_SIZE = 10_000;
/** As the contract has it. */
const MAX_ID_BYTES = 128;
/** The authorization that carries a token (RFC 6750). */
const BEARER = /^bearer ([\w.~+/=-]+)$/i;
/** By how much the clocks of issuer and server may differ: `exp` and `nbf` are taken with this tolerance. */
const CLOCK_TOLERANCE_S = 5;
/** How many keys are tried for a token that does not name its own, where several fit. */
const MAX_TRIED_KEYS = 4;

/**
 * Verifies JSON Web Tokens (RFC 7519): signed with one of the keys, with `exp` and `sub`, and a `role` of user, admin
 * or service, where none means user. Remembers the tokens it has verified until they expire, or until their key may
 * have been withdrawn, because verifying costs as much as a whole call.
 */
export class TokenVerifier {
  readonly #options: TokenOptions;
  /** In the order of insertion; the oldest entry leaves first. */
  readonly #cache = new Map<string, Remembered>();
  /** What is being verified now: once, for all calls that ask. */
  readonly #pending = new Map<string, Promise<Identity>>();

  constructor(options: TokenOptions) {
    this.#options = options;
  }

  /** The identity of an authorization that was verified before and has not expired; undefined for any other. */
  remembered(authorization: string): Identity | undefined {
    const entry = this.#cache.get(authorization);
    if (entry === undefined) return undefined;
    if (entry.untilMs > Date.now()) return entry;
    this.#cache.delete(authorization);
    return undefined;
  }

  /**
   * The identity that an authorization of the form `Bearer <token>` proves.
   *
   * @throws UnauthenticatedError if it proves none.
   * @throws TokenKeysUnavailableError if nobody can say now.
   */
  verify(authorization: string): Promise<Identity> {
    let pending = this.#pending.get(authorization);
    if (pending === undefined) {
      pending = this.#verify(authorization).finally(() => this.#pending.delete(authorization));
      this.#pending.set(authorization, pending);
    }
    return pending;
  }

  async #verify(authorization: string): Promise<Identity> {
    const [, token] = (authorization.length <= MAX_AUTHORIZATION_LENGTH && BEARER.exec(authorization)) || [];
    if (token === undefined) throw new UnauthenticatedError();
    const payload = await this.#payload(token);
    const expiresAtMs = (Number(payload.exp) + CLOCK_TOLERANCE_S) * 1000;
    const untilMs = Math.min(expiresAtMs, Date.now() + this.#options.keys.trustedForMs());
    const entry = { principal: toPrincipal(payload), expiresAtMs, untilMs };
    if (!this.#cache.has(authorization) && this.#cache.size >= (this.#options.cacheSize ?? DEFAULT_CACHE_SIZE))
      this.#forgetOldest();
    this.#cache.set(authorization, entry);
    return entry;
  }

  async #payload(token: string): Promise<JWTPayload> {
    try {
      return await this.#check(token, this.#options.keys.find);
    } catch (error) {
      if (error instanceof errors.JWKSMultipleMatchingKeys) return this.#checkWithAny(token, error);
      throw error instanceof errors.JOSEError ? new UnauthenticatedError() : error;
    }
  }

  /** Issuers with several keys need not say which of them they have used. */
  async #checkWithAny(token: string, keys: errors.JWKSMultipleMatchingKeys): Promise<JWTPayload> {
    let tried = 0;
    for await (const key of keys) {
      if (tried === MAX_TRIED_KEYS) break;
      tried++;
      try {
        return await this.#check(token, async () => key);
      } catch (error) {
        if (!(error instanceof errors.JOSEError)) throw error;
      }
    }
    throw new UnauthenticatedError();
  }

  async #check(token: string, key: JWTVerifyGetKey): Promise<JWTPayload> {
    const { keys, issuer, audience } = this.#options;
    const { payload } = await jwtVerify(token, key, {
      algorithms: [...keys.algorithms],
      requiredClaims: ["exp", "sub"],
      clockTolerance: CLOCK_TOLERANCE_S,
      ...(issuer !== undefined && { issuer }),
      ...(audience !== undefined && { audience }),
    });
    return payload;
  }

  #forgetOldest(): void {
    for (const authorization of this.#cache.keys()) {
      this.#cache.delete(authorization);
      return;
    }
  }
}

/**
 * Makes a token (HS256) that a TokenVerifier with the same secret and claims believes, valid for `lifetimeSeconds` from
 * now.
 */
export async function signToken(
  options: SigningOptions,
  principal: Principal,
  lifetimeSeconds: number,
): Promise<string> {
  const token = new SignJWT({ role: principal.role })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(principal.id)
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1000) + lifetimeSeconds);
  if (options.issuer !== undefined) token.setIssuer(options.issuer);
  if (options.audience !== undefined) token.setAudience(options.audience);
  return token.sign(await importSecret(options.secret));
}

function toPrincipal({ sub, role = "user" }: JWTPayload): Principal {
  if (!isId(sub) || !isPrincipalRole(role)) throw new UnauthenticatedError();
  return { id: sub, role };
}

/** Says whether a claim can be somebody's id: as the contract has ids, and as every database can keep them. */
function isId(claim: unknown): claim is string {
  if (typeof claim !== "string" || !claim.isWellFormed() || claim.includes("\0")) return false;
  const bytes = Buffer.byteLength(claim);
  return bytes > 0 && bytes <= MAX_ID_BYTES;
}
