import type { User, UserDraft } from "../domain/user.ts";

/** Something that can be called off, such as the call a handler serves. The signal is asked for only when it matters. */
export interface Cancellable {
  readonly signal: AbortSignal;
}

/**
 * Keeps users. This is the contract of every adapter, and the suite in test/repository holds each of them to it: a
 * difference that a caller can see between two adapters is a bug in one of them.
 *
 * - Every method is linearizable: it takes effect at one instant between its call and the settling of its promise.
 * - Once the signal of `scope` is aborted, a write that has not taken effect rejects with the signal's reason, and
 *   never takes effect later. A read may still answer.
 * - Returned users are the repository's own, and immutable.
 */
export interface UserRepository {
  /**
   * Reads one user.
   *
   * @throws UserNotFoundError if there is none with this id.
   */
  get(id: string, scope: Cancellable): Promise<User>;

  /**
   * Reads up to `limit` users in ascending order of id, all of whose ids are greater than `after`, or the first users
   * if `after` is absent. `after` need not be the id of a user. The cost does not depend on how many users precede it.
   */
  list(page: { readonly after: string | undefined; readonly limit: number }, scope: Cancellable): Promise<User[]>;

  /**
   * Creates a user from each draft, in order, or none. Assigns ids that are greater than every id that this process has
   * assigned before, ascending in the order of the drafts, and the time of creation. The signal is looked at once more
   * immediately before the users become visible.
   *
   * @throws EmailTakenError with the lowest index whose normalised e-mail address belongs to a user or to an earlier
   *   draft. Of several calls that race for one address, exactly one succeeds.
   */
  create(drafts: readonly UserDraft[], scope: Cancellable): Promise<User[]>;
}
