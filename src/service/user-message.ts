import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { User } from "../domain/user.ts";
import { type User as UserMessage, UserRole, UserSchema, UserStatus } from "../gen/user/v1/user_pb.ts";

const messages = new WeakMap<User, UserMessage>();

const ROLES = { user: UserRole.USER, admin: UserRole.ADMIN } as const;
const STATUSES = { active: UserStatus.ACTIVE, suspended: UserStatus.SUSPENDED } as const;

/** The message that stands for a user: frozen, and the same object every time, so that its bytes can be kept too. */
export function toUserMessage(user: User): UserMessage {
  let message = messages.get(user);
  if (message === undefined) {
    message = deepFreeze(create(UserSchema, toInit(user)));
    messages.set(user, message);
  }
  return message;
}

/** The message that stands for a user, for once: nothing is kept of it that was not kept before. */
export function toPassingUserMessage(user: User): UserMessage {
  return messages.get(user) ?? create(UserSchema, toInit(user));
}

/** Where the last group of an id begins, which is random. */
const ETAG_ID_START = 24;

/** The etag that stands for this state of this user, and for no other state of anybody (AIP-154). */
export function etagOf({ id, version }: Pick<User, "id" | "version">): string {
  return `"${version}-${id.slice(ETAG_ID_START)}"`;
}

function toInit(user: User): MessageInitShape<typeof UserSchema> {
  const { id, email, name, username, age, contact, profile } = user;
  return {
    id,
    email,
    name,
    createdAt: timestampFromMs(user.createdAt),
    role: ROLES[user.role],
    updatedAt: timestampFromMs(user.updatedAt),
    etag: etagOf(user),
    status: STATUSES[user.status],
    tags: [...user.tags],
    metadata: Object.fromEntries(user.metadata),
    ...(username !== undefined && { username }),
    ...(age !== undefined && { age }),
    ...(contact !== undefined && { contact: { case: contact.kind, value: contact.value } }),
    ...(profile !== undefined && { profile: { ...profile } }),
  };
}

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (typeof part === "object" && part !== null) deepFreeze(part);
  return Object.freeze(value);
}
