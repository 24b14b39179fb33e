import { type EmailAddress, parseEmail } from "./email.ts";
import { InvalidInputError, type Violation } from "./errors.ts";

/** What a user may do. */
export type UserRole = "user" | "admin";

/** A user. Immutable: an update replaces the object, so its identity stands for its content. */
export interface User {
  /** UUIDv7. */
  readonly id: string;
  /** The e-mail address as it was given. */
  readonly email: string;
  readonly name: string;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
  readonly role: UserRole;
}

/** A user who is well-formed but not yet created: no id, and the e-mail address may turn out to be taken. */
export interface UserDraft {
  readonly email: EmailAddress;
  readonly name: string;
  readonly role: UserRole;
}

/**
 * Checks what a new user's fields say.
 *
 * @throws InvalidInputError naming every field that is wrong.
 */
export function draftUser(fields: { readonly email: string; readonly name: string }): UserDraft {
  const violations: Violation[] = [];
  const email = parseEmail(fields.email);
  if (email === undefined) {
    violations.push({ field: "email", reason: "EMAIL_INVALID", description: "must be an e-mail address" });
  }
  if (fields.name.trim() === "") {
    violations.push({ field: "name", reason: "NAME_BLANK", description: "must not be only white space" });
  } else if (/\p{Cc}/u.test(fields.name)) {
    const description = "must not contain control characters";
    violations.push({ field: "name", reason: "NAME_CONTROL_CHARACTER", description });
  }
  if (email === undefined || violations.length > 0) throw new InvalidInputError(violations);
  return { email, name: fields.name, role: "user" };
}
