import type { User, UserDraft } from "../domain/user.ts";
import type { Cancellable, WriteScope } from "./scope.ts";

/** A file of users, as the repository knows it again. */
export interface Upload {
  /** Who uploads it: ids of different callers are different. */
  readonly caller: string;
  readonly id: string;
  /** Stands for the file: the same for the same, and for nothing else. */
  readonly fingerprint: string;
}

/** What is wrong with a row. Holds none of its values. */
export interface RowFault {
  /** Path to the field, in the names of the contract; empty where it is the row as a whole. */
  readonly field: string;
  /** Stable identifier of the kind of fault, in UPPER_SNAKE_CASE. */
  readonly reason: string;
  /** What is demanded, for people. */
  readonly description: string;
}

/** A row that could not be imported. */
export interface RowFailure extends RowFault {
  /** The line of the file on which the row begins, from 1. */
  readonly line: number;
}

/** A row that may become a user, or change one. */
export interface ImportableRow {
  readonly line: number;
  readonly emailKey: string;
  /** The key of the username that the row names; undefined if it names none. */
  readonly usernameKey: string | undefined;
  /**
   * What the user with the e-mail address of the row becomes, or what is wrong; `current` is undefined if there is
   * none. Has no effects, for it may be asked more than once.
   */
  readonly become: (current: User | undefined) => UserDraft | RowFault;
}

/** A row of a file. */
export type ImportRow = ImportableRow | { readonly failure: RowFailure };

/** What has become of the rows of a file so far, from the first one on. */
export interface ImportReport {
  readonly created: number;
  readonly updated: number;
  /** Those whose user was already as they say. */
  readonly skipped: number;
  readonly failed: number;
  /** The first of those that failed, in the order of the file: up to MAX_FAILURES. */
  readonly failures: readonly RowFailure[];
}

/** How many failures a report tells. */
export const MAX_FAILURES = 100;

/** How long an upload is known after the last of its rows has been applied, in milliseconds. */
export const UPLOAD_LIFETIME_MS = 7 * 24 * 3_600_000;

/**
 * Imports files of users into a UserRepository, some rows at a time, and each row once, however many calls at however
 * many replicas do it at a time or one after the other. This is the contract of every adapter, and the suite in
 * test/repository holds each of them to it. An adapter whose users are elsewhere fails as a UserRepository does.
 */
export interface Imports {
  /**
   * Tells what has become of an upload, of which nothing has if it is new, or has not been known for
   * UPLOAD_LIFETIME_MS.
   *
   * @throws UploadIdReusedError if the caller has given the id to another file.
   */
  begin(upload: Upload, scope: Cancellable): Promise<ImportReport>;

  /**
   * Applies rows of an upload that has begun, as one change that takes effect as a whole or not at all: as many as it
   * can of `rows`, from the first one on, and at least one. Returns what has become of the upload by then; how many
   * rows that are tells the next call where to go on. If the rows that have been applied are not the `firstRow` before
   * these, nothing happens: another call was faster.
   *
   * A row whose user exists changes that user as `update` of the UserRepository would, every other one creates a user
   * as `create` would, in the order of the rows; a username that is another user's makes the row fail. No user is
   * touched twice by one change.
   *
   * @throws UploadIdReusedError if the id stands for another file by now.
   */
  apply(upload: Upload, firstRow: number, rows: readonly ImportRow[], scope: WriteScope): Promise<ImportReport>;
}

/** How many rows a report is about. */
export function rowCountOf({ created, updated, skipped, failed }: ImportReport): number {
  return created + updated + skipped + failed;
}
