import type { Cancellable } from "./scope.ts";

/** What has happened to a user. */
export type ChangeKind = "created" | "updated" | "deleted";

/** One change of one user. Holds nothing personal: what the user is like now, the repository tells. */
export interface Change {
  /** Greater than that of every change that took effect before. Some numbers are left out. */
  readonly revision: number;
  readonly userId: string;
  readonly kind: ChangeKind;
  /** Milliseconds since the Unix epoch. */
  readonly changedAt: number;
}

/** Which changes are kept: the latest, as far as they are not too old. */
export interface ChangeRetention {
  /** At most so many; fewer where revisions are left out. */
  readonly maxCount: number;
  readonly maxAgeMs: number;
}

/**
 * What has happened to the users of a repository, in the order in which it took effect. A change is in the log from the
 * instant at which it can be seen in the repository, and none is ever put in before one that a reader may have read:
 * who goes on after the last revision that they read misses nothing.
 */
export interface ChangeLog {
  /** The revision of the latest change; 0 if there was none yet. */
  latest(scope: Cancellable): Promise<number>;

  /**
   * Reads up to `limit` changes in ascending order of revision, all of whose revisions are greater than `after`.
   *
   * @throws ChangesExpiredError if one of them is no longer kept.
   */
  list(page: { readonly after: number; readonly limit: number }, scope: Cancellable): Promise<Change[]>;
}
