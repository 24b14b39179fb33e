import { timingSafeEqual } from "node:crypto";
import { InvalidInputError, type Violation } from "../domain/errors.ts";
import { createMac, type KeySource, type Mac } from "./mac.ts";

const MAC_BYTES = 16;

/**
 * Makes and reads the opaque tokens by which clients continue something, such as a listing (AIP-158). A token holds a
 * text, and is authenticated, so that no client comes to depend on its form. Services with the same key read each
 * other's tokens.
 */
export class SealedTokens {
  readonly #macOf: Mac;
  readonly #violation: Violation;

  /** Tokens of another `purpose` are not authentic. `violation` says what is wrong about a token that is not. */
  constructor(key: KeySource, purpose: string, violation: Violation) {
    this.#macOf = createMac(key, purpose);
    this.#violation = violation;
  }

  /** The token that holds this text. */
  seal(text: string): string {
    const payload = Buffer.from(text);
    return Buffer.concat([this.#mac(payload), payload]).toString("base64url");
  }

  /**
   * The text that a token holds.
   *
   * @throws InvalidInputError if the token was not made with this key.
   */
  open(token: string): string {
    const bytes = Buffer.from(token, "base64url");
    const payload = bytes.subarray(MAC_BYTES);
    const authentic =
      bytes.length > MAC_BYTES &&
      bytes.toString("base64url") === token &&
      timingSafeEqual(bytes.subarray(0, MAC_BYTES), this.#mac(payload));
    if (!authentic) throw new InvalidInputError([this.#violation]);
    return payload.toString();
  }

  #mac(payload: Uint8Array): Buffer {
    return this.#macOf(payload).subarray(0, MAC_BYTES);
  }
}

/** The tokens that continue a listing of users after the id that they hold. */
export function pageTokens(key: KeySource): SealedTokens {
  const description = "must be a token that came with an earlier page of this service";
  return new SealedTokens(key, "page token 1", { field: "page_token", reason: "PAGE_TOKEN_INVALID", description });
}

/** The tokens that continue to watch users. */
export function resumeTokens(key: KeySource): SealedTokens {
  const description = "must be a token that came with an earlier event of this service";
  return new SealedTokens(key, "resume token 1", {
    field: "resume_token",
    reason: "RESUME_TOKEN_INVALID",
    description,
  });
}
