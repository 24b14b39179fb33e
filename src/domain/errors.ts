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

  /** The same violations, told of message number `index`, from zero, of a stream. */
  inMessage(index: number): InvalidInputError {
    return new InvalidInputError(
      this.violations.map((violation) => ({ ...violation, field: `messages[${index}].${violation.field}` })),
    );
  }
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

/** The normalised e-mail address belongs to a user already, or to an earlier draft of the same batch. */
export class EmailTakenError extends Error {
  override readonly name = "EmailTakenError";
  /** Position of the refused draft in its batch, from zero. */
  readonly index: number;

  constructor(index: number) {
    super("the e-mail address is taken");
    this.index = index;
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
