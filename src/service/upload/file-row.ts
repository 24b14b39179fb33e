import { InvalidInputError } from "../../domain/errors.ts";
import type { CreateUserRequest } from "../../gen/user/v1/user_service_pb.ts";

/** A row of a file, which is not looked at before it matters. */
export interface FileRow {
  /** The line on which it begins, from 1. */
  readonly line: number;
  /** How many characters it has. */
  readonly length: number;
  /**
   * The user that the row describes. What it does not name is not set.
   *
   * @throws InvalidInputError if it describes none. The violations hold no values; the field is empty where it is the
   *   row as a whole.
   */
  toRequest(): CreateUserRequest;
}

/** The size of the largest row, in bytes: more than a user can need, however it is written. */
export const MAX_ROW_BYTES = 256 * 1024;

/** The error of a file that is not of its format. `description` names the line. */
export function unreadable(reason: string, description: string): InvalidInputError {
  return new InvalidInputError([{ field: "file", reason, description }]);
}

/** The error of a file with a row that is too large. */
export function rowTooLarge(line: number): InvalidInputError {
  return unreadable(
    "ROW_TOO_LARGE",
    `must have rows of at most ${MAX_ROW_BYTES} bytes, as the one on line ${line} is not`,
  );
}

/** The error of a row that is wrong at one field. */
export function faulty(field: string, reason: string, description: string): InvalidInputError {
  return new InvalidInputError([{ field, reason, description }]);
}
