import type { TakenKeys } from "../claims.ts";

/** Keys that are taken, and whose they are. A key is taken first, and given to its owner once there is one. */
export class OwnedKeys implements TakenKeys {
  readonly #owners = new Map<string, string | undefined>();

  get size(): number {
    return this.#owners.size;
  }

  has(key: string): boolean {
    return this.#owners.has(key);
  }

  add(key: string): this {
    if (!this.#owners.has(key)) this.#owners.set(key, undefined);
    return this;
  }

  delete(key: string): void {
    this.#owners.delete(key);
  }

  /** Gives a key to the user with this id. */
  give(key: string, id: string): void {
    this.#owners.set(key, id);
  }

  /** The id of the user who has the key. */
  ownerOf(key: string): string | undefined {
    return this.#owners.get(key);
  }
}
