import type { User, UserDraft } from "../domain/user.ts";
import type { ChangeLog } from "./change-log.ts";
import type { Cancellable, WriteScope } from "./scope.ts";

/** What makes a creation happen once, however often it is asked for. */
export interface CreationRequest {
  /** Who asks: ids of different callers are different. */
  readonly caller: string;
  readonly id: string;
  /** Stands for the content: the same for the same, and for nothing else. */
  readonly fingerprint: string;
}

/** A user to create. */
export interface NewUser extends UserDraft {
  readonly request?: CreationRequest | undefined;
}

/**
 * Which users to read: up to `limit`, in ascending order of id, after the one with the id `after`, or from the first
 * on.
 */
export interface UserPage {
  readonly after: string | undefined;
  readonly limit: number;
}

/** How long the repository knows a request again, in milliseconds. */
export const REQUEST_LIFETIME_MS = 24 * 3_600_000;

/**
 * Keeps users. This is the contract of every adapter, and the suite in test/repository holds each of them to it: a
 * difference that a caller can see between two adapters is a bug in one of them.
 *
 * - Every method is linearizable: it takes effect at one instant between its call and the settling of its promise.
 * - Once the signal of `scope` is aborted, a write that has not taken effect rejects with the signal's reason, and
 *   never takes effect later. A read may still answer.
 * - Returned users are the repository's own, and immutable.
 * - An adapter that outlives the process keeps a record, for those who operate it, of who set a role or a status, or deleted
 *   a user, and when.
 *
 * An adapter whose users are elsewhere fails with StoreUnavailableError where it cannot reach them, and nothing has
 * happened; and with OutcomeUnknownError where it lost touch while a write was taking effect, so that nobody can say.
 */
export interface UserRepository {
  /** Whether a user is the same object each time that they are read, so that it is worth keeping what is made of it. */
  readonly keepsUsers: boolean;

  /** One change for each user that was created, changed or deleted. */
  readonly changes: ChangeLog;

  /**
   * Reads one user.
   *
   * @throws UserNotFoundError if there is none with this id.
   */
  get(id: string, scope: Cancellable): Promise<User>;

  /** Reads users, in the order of the ids; undefined for each id that is no user's. An id may occur more than once. */
  getMany(ids: readonly string[], scope: Cancellable): Promise<(User | undefined)[]>;

  /** Reads users. `after` need not be the id of one. The cost does not depend on how many users precede it. */
  list(page: UserPage, scope: Cancellable): Promise<User[]>;

  /**
   * Reads users as `list` does, and the revision as of which they are: they show all changes up to it, and none of the
   * later.
   */
  listAsOf(page: UserPage, scope: Cancellable): Promise<{ readonly users: User[]; readonly revision: number }>;

  /**
   * Says whether there is a user with this id who is suspended: at once where that is known, because every call of
   * every caller asks.
   */
  isSuspended(id: string): boolean | Promise<boolean>;

  /**
   * Creates all of these users, or none, and returns them in order. Assigns ids that are greater than every id that
   * this process has assigned before, ascending in the order of the drafts, and the time of creation. The signal is
   * looked at once more immediately before the users become visible.
   *
   * A request that the repository knows, from an earlier call or from earlier in this one, creates nobody: it stands
   * for the user that it created, as they are now. It is known for REQUEST_LIFETIME_MS from the creation. A call that
   * fails leaves no request behind.
   *
   * Fails for the lowest index at which it cannot go on:
   *
   * @throws TakenError if the key of the e-mail address or of the username, the address first, belongs to a user or to an
   *   earlier draft. Of several calls that race for one key, exactly one succeeds.
   * @throws RequestIdReusedError if a known request has another fingerprint.
   * @throws UserNotFoundError if a known request created a user who has been deleted.
   */
  create(users: readonly NewUser[], scope: WriteScope): Promise<User[]>;

  /**
   * Replaces a user's fields by what `change` makes of the user, and returns the user with a greater version and the
   * time of the change; where `change` returns undefined, nothing happens, and the user is returned as is. Between the
   * user that `change` saw and the replacement, nobody else changes the user. `change` must have no effects, for it may
   * be asked more than once. What it throws is thrown, and nothing is changed.
   *
   * @throws UserNotFoundError if there is none with this id.
   * @throws TakenError without an index, if the new key of the e-mail address or of the username is another user's.
   */
  update(id: string, change: (user: User) => UserDraft | undefined, scope: WriteScope): Promise<User>;

  /**
   * Deletes a user with all that is known of them, unless `check` throws, which may be asked more than once. The id is
   * never assigned again; e-mail address and username are free at once.
   *
   * @throws UserNotFoundError if there is none with this id.
   */
  delete(id: string, check: (user: User) => void, scope: WriteScope): Promise<void>;
}
