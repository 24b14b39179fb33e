import type { TextOperation } from "../domain/text-operation.ts";
import type { Cancellable } from "./scope.ts";

/** An operation that somebody asks for. */
export interface Submission {
  /** What the author knows the operation by. */
  readonly operationId: string;
  /** The author. */
  readonly userId: string;
  /** The revision of the text that the operation goes through. */
  readonly baseRevision: number;
  readonly operation: TextOperation;
}

/** An operation as it was applied, to the text of the revision before. */
export interface AppliedOperation {
  /** 1 for the first of its document, and one more for each that follows. */
  readonly revision: number;
  /** In its shortest form; empty if it does nothing. */
  readonly operation: TextOperation;
  /** Empty for a change of the bio that was not made by operations. */
  readonly userId: string;
  /** Empty for a change of the bio that was not made by operations. */
  readonly operationId: string;
}

/** The text of a document. */
export interface DocumentText {
  /** How many operations have been applied. */
  readonly revision: number;
  readonly text: string;
}

/** What has become of a submission: the revision that the operation has made, or why it was not applied. */
export type Outcome = { readonly revision: number } | { readonly error: Error };

/** Which operations of a document are kept: the latest, as far as they are not too old. */
export interface OperationRetention {
  readonly maxCount: number;
  readonly maxAgeMs: number;
}

/** The retention that the contract promises. */
export const OPERATION_RETENTION: OperationRetention = { maxCount: 10_000, maxAgeMs: 7 * 24 * 3_600_000 };

/**
 * The texts that are edited in operations. Every user has one: their bio. This is the contract of every adapter, and
 * the suite in test/repository holds each of them to it.
 *
 * - Operations can be read in the order of their revisions, without gaps: none appears before one that a reader may already have
 *   read.
 * - A text and its user's bio are the same. Where the bio was changed by the UserRepository, the next `read` or `apply` turns the change into
 *   an operation without author and id, before anything else.
 * - With the user, the document goes at once: every method throws UserNotFoundError if there is no user with the id.
 *
 * An adapter whose documents are elsewhere fails as a UserRepository does.
 */
export interface Documents {
  /** Reads the text as of now; `caughtUp` says whether that has turned a change of the bio into an operation. */
  read(userId: string, scope: Cancellable): Promise<DocumentText & { readonly caughtUp: boolean }>;

  /** The revision of the latest operation; 0 if there was none. Changes of the bio may be yet to become one. */
  latest(userId: string, scope: Cancellable): Promise<number>;

  /**
   * Reads up to `limit` operations in ascending order, all of whose revisions are greater than `after`.
   *
   * @throws OperationsExpiredError if one of them is no longer kept.
   */
  list(
    userId: string,
    page: { readonly after: number; readonly limit: number },
    scope: Cancellable,
  ): Promise<AppliedOperation[]>;

  /**
   * Applies operations in their order, in one step, and returns an outcome for each. Each is transformed by the
   * operations since its base revision, those that come before it here included; what others had already done falls
   * away. The fault of one does not keep the others from being applied.
   *
   * The user changes once, like by an update, if one of the operations changes the text.
   *
   * An operation with the id of one that has been applied to the document, and is kept, is not applied: its outcome is
   * the revision of that one. The outcome is an error otherwise:
   *
   * - RevisionUnknownError if the document has no such base revision yet.
   * - OperationsExpiredError if the operations since the base revision are no longer kept.
   * - InvalidInputError, of the field `operation.steps`, if the operation is none, goes beyond the end of the text as of the base revision, or
   *   makes the text too long.
   */
  apply(userId: string, submissions: readonly Submission[], scope: Cancellable): Promise<Outcome[]>;
}
