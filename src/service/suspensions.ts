import type { UserChanges } from "./user-changes.ts";

/** After which it is asked again whether a user is suspended, if that could not be told. */
const RETRY_MS = 5000;

/** Tells of users who become suspended while somebody cares about them. */
export class Suspensions {
  readonly #changes: UserChanges;
  readonly #isSuspended: (userId: string) => boolean | Promise<boolean>;

  constructor(changes: UserChanges, isSuspended: (userId: string) => boolean | Promise<boolean>) {
    this.#changes = changes;
    this.#isSuspended = isSuspended;
  }

  /**
   * Calls `onSuspended` when the user is suspended, never at once but also if they are already, and maybe more than
   * once. Returns a function that ends this.
   */
  watch(userId: string, onSuspended: () => void): () => void {
    let over = false;
    let retry: NodeJS.Timeout | undefined;
    const look = async (): Promise<void> => {
      clearTimeout(retry);
      try {
        if ((await this.#isSuspended(userId)) && !over) onSuspended();
      } catch {
        if (!over) retry = setTimeout(() => void look(), RETRY_MS).unref();
      }
    };
    const end = this.#changes.watch(userId, () => void look());
    return () => {
      over = true;
      clearTimeout(retry);
      end();
    };
  }
}
