/** One thing that is wrong with the input. */
export interface Violation {
  /** Path to the field, in the names of the contract; `messages[6].email` for the seventh message of a stream. */
  readonly field: string;
  /** Stable identifier of the broken rule, in UPPER_SNAKE_CASE. */
  readonly reason: string;
  /** What the rule demands, for people. Never repeats the value. */
  readonly description: string;
}

/** The input breaks rules that its shape alone does not show. */
export class InvalidInputError extends Error {
  override readonly name = "InvalidInputError";
  readonly violations: readonly Violation[];

  /** `violations` holds at least one. */
  constructor(violations: readonly Violation[]) {
    super("invalid input");
    this.violations = violations;
  }

  /** The same violations, told of a part of the input: `user`, or `messages[6]`. */
  in(part: string): InvalidInputError {
    return new InvalidInputError(
      this.violations.map((violation) => ({ ...violation, field: `${part}.${violation.field}` })),
    );
  }
}

/** The error of one thing that is wrong. */
export function invalidInput(field: string, reason: string, description: string): InvalidInputError {
  return new InvalidInputError([{ field, reason, description }]);
}

/** There is no user with this id. */
export class UserNotFoundError extends Error {
  override readonly name = "UserNotFoundError";
  readonly id: string;

  constructor(id: string) {
    super("no such user");
    this.id = id;
  }
}

/** What only one user may have, and another one has already: the e-mail address or the username, normalised. */
export class TakenError extends Error {
  override readonly name = "TakenError";
  readonly field: "email" | "username";
  /** Position of the refused draft in its batch, from zero; undefined where there is no batch. */
  readonly index: number | undefined;
  /** The part of the input that has the field, where there is one: `user`, or `messages[6]`. */
  readonly part: string | undefined;

  constructor(
    field: "email" | "username",
    index?: number,
    part = index === undefined ? undefined : `messages[${index}]`,
  ) {
    super(field === "email" ? "the e-mail address is taken" : "the username is taken");
    this.field = field;
    this.index = index;
    this.part = part;
  }

  /** The same error, told of another part of the input; undefined for the input itself. */
  in(part: string | undefined): TakenError {
    return new TakenError(this.field, undefined, part);
  }
}

/** The caller has used the id of this request before, for a request with other content. */
export class RequestIdReusedError extends Error {
  override readonly name = "RequestIdReusedError";
  /** Position of the request in its batch, from zero; undefined where there is no batch. */
  readonly index: number | undefined;

  constructor(index?: number) {
    super("must not be the id of an earlier request with other content");
    this.index = index;
  }
}

/** The caller has used the id of this upload before, for another file. */
export class UploadIdReusedError extends Error {
  override readonly name = "UploadIdReusedError";

  constructor() {
    super("must not be the id of an earlier upload of another file");
  }
}

/** An uploaded file is larger than files may be. */
export class UploadTooLargeError extends Error {
  override readonly name = "UploadTooLargeError";
  readonly limitBytes: number;

  constructor(limitBytes: number) {
    super("the file is too large");
    this.limitBytes = limitBytes;
  }
}

/** What has arrived of an uploaded file is not what was announced. */
export class UploadDamagedError extends Error {
  override readonly name = "UploadDamagedError";

  /** `fact` says what was seen, for the caller. */
  constructor(fact: string) {
    super(fact);
  }
}

/** An uploaded file cannot be kept until it is imported: the disk is full, say. Nothing has been imported. */
export class SpoolUnavailableError extends Error {
  override readonly name = "SpoolUnavailableError";

  constructor(cause: unknown) {
    super("the file cannot be kept now", { cause });
  }
}

/** The users that one call is to create take too much memory together. */
export class UsersTooLargeError extends Error {
  override readonly name = "UsersTooLargeError";
  readonly limitBytes: number;

  constructor(limitBytes: number) {
    super("too much data in one call");
    this.limitBytes = limitBytes;
  }
}

/** What was asked for may be larger than clients receive. */
export class ResponseTooLargeError extends Error {
  override readonly name = "ResponseTooLargeError";

  constructor() {
    super("the users may not fit into one message; ask for fewer");
  }
}

/** The user has changed since the caller read it. */
export class EtagMismatchError extends Error {
  override readonly name = "EtagMismatchError";
  readonly id: string;

  constructor(id: string) {
    super("the user has changed meanwhile");
    this.id = id;
  }
}

/** The caller is known, and may not do this. */
export class PermissionDeniedError extends Error {
  override readonly name = "PermissionDeniedError";

  /** `requirement` says who may, for the caller. */
  constructor(requirement: string) {
    super(requirement);
  }
}

/** The caller is a user who has been suspended. */
export class CallerSuspendedError extends Error {
  override readonly name = "CallerSuspendedError";

  constructor() {
    super("the caller is suspended");
  }
}

/** One call asks for more users than it may create. */
export class TooManyUsersError extends Error {
  override readonly name = "TooManyUsersError";
  /** How many users one call may create. */
  readonly limit: number;

  constructor(limit: number) {
    super("too many users in one call");
    this.limit = limit;
  }
}

/**
 * What keeps the users cannot be reached, or is too busy. Nothing has been changed, or doing it again changes nothing
 * twice.
 */
export class StoreUnavailableError extends Error {
  override readonly name = "StoreUnavailableError";

  /** `fact` says what is wrong, for the caller. */
  constructor(fact: string, cause?: unknown) {
    super(fact, { cause });
  }
}

/** Touch was lost with what keeps the users while a change was taking effect: it may have happened, or not. */
export class OutcomeUnknownError extends Error {
  override readonly name = "OutcomeUnknownError";

  constructor(cause: unknown) {
    super("nobody can say whether the change has happened", { cause });
  }
}

/** The caller speaks in a room that they have not joined. */
export class NotInRoomError extends Error {
  override readonly name = "NotInRoomError";
  readonly room: string;

  constructor(room: string) {
    super("the room has not been joined");
    this.room = room;
  }
}

/** The caller joins a room that they have joined already. */
export class AlreadyInRoomError extends Error {
  override readonly name = "AlreadyInRoomError";
  readonly room: string;

  constructor(room: string) {
    super("the room has been joined already");
    this.room = room;
  }
}

/** One call joins more rooms than it may be in. */
export class TooManyRoomsError extends Error {
  override readonly name = "TooManyRoomsError";
  /** How many rooms one call may be in. */
  readonly limit: number;

  constructor(limit: number) {
    super(`a call may be in ${limit} rooms at most`);
    this.limit = limit;
  }
}

/** Changes that were asked for are no longer kept. */
export class ChangesExpiredError extends Error {
  override readonly name = "ChangesExpiredError";

  constructor() {
    super("the changes are no longer kept");
  }
}

/** A document has no such revision yet. */
export class RevisionUnknownError extends Error {
  override readonly name = "RevisionUnknownError";

  constructor() {
    super("there is no such revision yet");
  }
}

/** Operations that were asked for are no longer kept. */
export class OperationsExpiredError extends Error {
  override readonly name = "OperationsExpiredError";

  constructor() {
    super("the operations since then are no longer kept");
  }
}
