import { InvalidInputError } from "../domain/errors.ts";
import {
  BLANK_USER,
  type Contact,
  type Profile,
  type UserFields,
  type UserRole,
  type UserStatus,
} from "../domain/user.ts";
import type { User as UserMessage } from "../gen/user/v1/user_pb.ts";
import { UserRole as Role, UserStatus as Status } from "../gen/user/v1/user_pb.ts";
import type { CreateUserRequest } from "../gen/user/v1/user_service_pb.ts";

/** The fields of the user whom a request describes. */
export function fieldsOfNewUser(request: CreateUserRequest): UserFields {
  return {
    ...fieldsOfMessage(request),
    role: toRole(request.role) ?? BLANK_USER.role,
    status: toStatus(request.status) ?? BLANK_USER.status,
  };
}

/** The fields that a message states, but for role and status, which have to be asked for. */
export function fieldsOfMessage(message: CreateUserRequest | UserMessage): Omit<UserFields, "role" | "status"> {
  const { email, name, username, age, tags, metadata } = message;
  return {
    email,
    name,
    username: username === "" ? undefined : username,
    age,
    tags: [...tags],
    metadata: Object.entries(metadata).toSorted(([one], [other]) => (one < other ? -1 : 1)),
    contact: toContact(message.contact),
    profile: toProfile(message.profile),
  };
}

/** The role that a message states; undefined where it states none. */
export function toRole(role: Role): UserRole | undefined {
  switch (role) {
    case Role.USER:
      return "user";
    case Role.ADMIN:
      return "admin";
    case Role.UNSPECIFIED:
      return undefined;
    default:
      throw unknownValue("role");
  }
}

/** The status that a message states; undefined where it states none. */
export function toStatus(status: Status): UserStatus | undefined {
  switch (status) {
    case Status.ACTIVE:
      return "active";
    case Status.SUSPENDED:
      return "suspended";
    case Status.UNSPECIFIED:
      return undefined;
    default:
      throw unknownValue("status");
  }
}

/** A profile; undefined where all of it is empty. */
export function toProfile(profile: Partial<Profile> | undefined): Profile | undefined {
  const { bio = "", avatarUrl = "" } = profile ?? {};
  return bio === "" && avatarUrl === "" ? undefined : { bio, avatarUrl };
}

function toContact(contact: UserMessage["contact"]): Contact | undefined {
  return contact.case === undefined ? undefined : { kind: contact.case, value: contact.value };
}

function unknownValue(field: string): InvalidInputError {
  return new InvalidInputError([{ field, reason: "VALUE_UNKNOWN", description: "must be a value of the contract" }]);
}
