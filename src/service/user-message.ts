import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { User } from "../domain/user.ts";
import { type User as UserMessage, UserRole, UserSchema } from "../gen/user/v1/user_pb.ts";

const messages = new WeakMap<User, UserMessage>();

const ROLES = { user: UserRole.USER, admin: UserRole.ADMIN } as const;

/** The message that stands for a user: frozen, and the same object every time, so that its bytes can be kept too. */
export function toUserMessage(user: User): UserMessage {
  let message = messages.get(user);
  if (message === undefined) {
    message = freeze(user);
    messages.set(user, message);
  }
  return message;
}

function freeze({ id, email, name, createdAt, role }: User): UserMessage {
  const created = Object.freeze(timestampFromMs(createdAt));
  return Object.freeze(create(UserSchema, { id, email, name, createdAt: created, role: ROLES[role] }));
}
