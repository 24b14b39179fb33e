import { TakenError } from "../domain/errors.ts";
import type { UserDraft } from "../domain/user.ts";

/** Keys that are taken. A Set is one. */
export interface TakenKeys {
  readonly size: number;
  /** Takes a key, unless it is taken already, and returns the keys. */
  add(key: string): { readonly size: number };
  delete(key: string): unknown;
}

/** Takes what only one user may have, for a batch of drafts, and gives all of it back if the batch fails. */
export class Claims {
  readonly #emailKeys: TakenKeys;
  readonly #usernameKeys: TakenKeys;
  readonly #claimedEmailKeys: string[] = [];
  readonly #claimedUsernameKeys: string[] = [];

  /** Takes from these keys, which belong to users. */
  constructor(emailKeys: TakenKeys, usernameKeys: TakenKeys) {
    this.#emailKeys = emailKeys;
    this.#usernameKeys = usernameKeys;
  }

  /**
   * Takes the keys of a draft.
   *
   * @throws TakenError with the index, if one of them is taken.
   */
  claim({ emailKey, usernameKey }: UserDraft, index?: number): void {
    if (!add(this.#emailKeys, emailKey)) throw new TakenError("email", index);
    this.#claimedEmailKeys.push(emailKey);
    if (usernameKey === undefined) return;
    if (!add(this.#usernameKeys, usernameKey)) throw new TakenError("username", index);
    this.#claimedUsernameKeys.push(usernameKey);
  }

  /** Gives back what has been claimed. */
  release(): void {
    for (const key of this.#claimedEmailKeys) this.#emailKeys.delete(key);
    for (const key of this.#claimedUsernameKeys) this.#usernameKeys.delete(key);
  }
}

/** Adds a key, and says whether it was new, with one look at the set. */
function add(keys: TakenKeys, key: string): boolean {
  const before = keys.size;
  return keys.add(key).size > before;
}
