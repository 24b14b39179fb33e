import {
  BLANK_USER,
  type Contact,
  toMetadata,
  toProfile,
  type UserFields,
  type UserRole,
  type UserStatus,
} from "../domain/user.ts";
import type { User as UserMessage } from "../gen/user/v1/user_pb.ts";
import { UserRole as Role, UserStatus as Status } from "../gen/user/v1/user_pb.ts";
import type { CreateUserRequest } from "../gen/user/v1/user_service_pb.ts";

/** The fields of the user whom a request describes. */
export function fieldsOfNewUser(request: CreateUserRequest): UserFields {
  return fieldsOfMessage(request, BLANK_USER);
}

/** The fields that a message states, with the role and the status of `otherwise` where it states none. */
export function fieldsOfMessage(message: CreateUserRequest | UserMessage, otherwise: UserFields): UserFields {
  const { email, name, username, age, tags, metadata } = message;
  return {
    email,
    name,
    role: toRole(message.role) ?? otherwise.role,
    status: toStatus(message.status) ?? otherwise.status,
    username: username === "" ? undefined : username,
    age,
    tags: tags.length === 0 ? BLANK_USER.tags : [...tags],
    metadata: toMetadata(metadata),
    contact: toContact(message.contact),
    profile: toProfile(message.profile),
  };
}

const ROLES: Readonly<Record<Role, UserRole | undefined>> = {
  [Role.UNSPECIFIED]: undefined,
  [Role.USER]: "user",
  [Role.ADMIN]: "admin",
};

const STATUSES: Readonly<Record<Status, UserStatus | undefined>> = {
  [Status.UNSPECIFIED]: undefined,
  [Status.ACTIVE]: "active",
  [Status.SUSPENDED]: "suspended",
};

/** The role that a message states; undefined where it states none. */
export function toRole(role: Role): UserRole | undefined {
  return ROLES[role];
}

/** The status that a message states; undefined where it states none. */
export function toStatus(status: Status): UserStatus | undefined {
  return STATUSES[status];
}

function toContact(contact: UserMessage["contact"]): Contact | undefined {
  return contact.case === undefined ? undefined : { kind: contact.case, value: contact.value };
}
