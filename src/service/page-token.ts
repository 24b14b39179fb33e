import { timingSafeEqual } from "node:crypto";
import { InvalidInputError } from "../domain/errors.ts";
import { createMac, type KeySource, type Mac } from "./mac.ts";

const MAC_BYTES = 16;

/**
 * Makes and reads the opaque tokens that continue a listing (AIP-158). A token holds the last id of a page, and is
 * authenticated, so that no client comes to depend on its form. Services with the same key read each other's tokens.
 */
export class PageTokens {
  readonly #macOf: Mac;

  constructor(key: KeySource) {
    this.#macOf = createMac(key, "page token 1");
  }

  /** The token that continues after the user with this id. */
  seal(lastId: string): string {
    const payload = Buffer.from(lastId);
    return Buffer.concat([this.#mac(payload), payload]).toString("base64url");
  }

  /**
   * The id that a token holds.
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
    if (!authentic) throw invalidToken();
    return payload.toString();
  }

  #mac(payload: Uint8Array): Buffer {
    return this.#macOf(payload).subarray(0, MAC_BYTES);
  }
}

function invalidToken(): InvalidInputError {
  const description = "must be a token that came with an earlier page of this service";
  return new InvalidInputError([{ field: "page_token", reason: "PAGE_TOKEN_INVALID", description }]);
}
