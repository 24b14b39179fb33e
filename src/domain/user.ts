import { isDeepStrictEqual } from "node:util";
import { type EmailAddress, parseEmail } from "./email.ts";
import { InvalidInputError, type Violation } from "./errors.ts";

/** The role that the tokens of a user should have. */
export type UserRole = "user" | "admin";

/** Whether a user may call. */
export type UserStatus = "active" | "suspended";

/** Where a user can be reached, apart from the e-mail address. */
export interface Contact {
  readonly kind: "phone" | "slackId";
  readonly value: string;
}

/** What a user shows to others. */
export interface Profile {
  readonly bio: string;
  readonly avatarUrl: string;
}

/** All of a user that somebody can write. */
export interface UserFields {
  /** The e-mail address as it was given. */
  readonly email: string;
  readonly name: string;
  readonly role: UserRole;
  readonly status: UserStatus;
  /** As it was given. */
  readonly username: string | undefined;
  /** In years. */
  readonly age: number | undefined;
  readonly tags: readonly string[];
  /** In the order of the keys. */
  readonly metadata: readonly (readonly [key: string, value: string])[];
  readonly contact: Contact | undefined;
  /** Undefined where all of it would be empty. */
  readonly profile: Profile | undefined;
}

/** A user. Immutable: an update replaces the object, so its identity stands for its content. */
export interface User extends UserFields {
  /** UUIDv7. */
  readonly id: string;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
  /** Milliseconds since the Unix epoch. */
  readonly updatedAt: number;
  /** Greater with each change of this user. */
  readonly version: number;
}

/** Fields that are well-formed, though the e-mail address or the username may turn out to be taken. */
export interface UserDraft extends UserFields {
  /** What makes two e-mail addresses the same. */
  readonly emailKey: string;
  /** What makes two usernames the same; undefined without a username. */
  readonly usernameKey: string | undefined;
}

/** The fields of a user of whom nothing is said. Neither address nor name are valid. */
export const BLANK_USER: UserFields = {
  email: "",
  name: "",
  role: "user",
  status: "active",
  username: undefined,
  age: undefined,
  tags: [],
  metadata: [],
  contact: undefined,
  profile: undefined,
};

/**
 * Checks what a user's fields say, as far as their shape does not show it.
 *
 * @throws InvalidInputError naming every field that is wrong.
 */
export function draftUser(fields: UserFields): UserDraft {
  const violations: Violation[] = [];
  const email: EmailAddress | undefined = parseEmail(fields.email);
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
  const { name, role, status, username, age, tags, metadata, contact, profile } = fields;
  const emailKey = email.normalized;
  const usernameKey = usernameKeyOf(username);
  return {
    emailKey,
    usernameKey,
    email: email.given,
    name,
    role,
    status,
    username,
    age,
    tags,
    metadata,
    contact,
    profile,
  };
}

/** What makes two usernames the same. */
export function usernameKeyOf(username: string | undefined): string | undefined {
  return username?.toLowerCase();
}

/** Metadata in the order of the keys. */
export function toMetadata(metadata: Readonly<Record<string, string>>): UserFields["metadata"] {
  const pairs = Object.entries(metadata);
  return pairs.length === 0 ? BLANK_USER.metadata : pairs.sort(([one], [other]) => (one < other ? -1 : 1));
}

/** The fields that somebody can write, and nothing else of what is given. */
export function fieldsOf(user: UserFields): UserFields {
  const { email, name, role, status, username, age, tags, metadata, contact, profile } = user;
  return { email, name, role, status, username, age, tags, metadata, contact, profile };
}

/** The user that a draft becomes. Written out field by field, because a creation makes thousands. */
export function toUser(draft: UserDraft, record: Omit<User, keyof UserFields>): User {
  const { id, createdAt, updatedAt, version } = record;
  const { email, name, role, status, username, age, tags, metadata, contact, profile } = draft;
  return {
    id,
    email,
    name,
    createdAt,
    role,
    updatedAt,
    version,
    username,
    age,
    status,
    tags,
    metadata,
    contact,
    profile,
  };
}

/** The user that a draft makes of a user, now. The time of the change never goes back, whatever the clock does. */
export function toChangedUser({ id, createdAt, updatedAt, version }: User, draft: UserDraft): User {
  return toUser(draft, { id, createdAt, updatedAt: Math.max(Date.now(), updatedAt), version: version + 1 });
}

/** Says whether the fields of two users are the same. */
export function haveSameFields(one: UserFields, other: UserFields): boolean {
  return isDeepStrictEqual(fieldsOf(one), fieldsOf(other));
}
