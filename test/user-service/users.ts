import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import { expect } from "vitest";
import { type User, UserRole, type UserSchema, UserStatus } from "../../src/gen/user/v1/user_pb.ts";
import type {
  CreateUserRequestSchema,
  ListUsersRequestSchema,
  UserService,
} from "../../src/gen/user/v1/user_service_pb.ts";
import { collect, newUsers, startTestServer, streamOf, userClient } from "../support/server.ts";

export type UserClient = Client<typeof UserService>;
export type CreateUserInit = MessageInitShape<typeof CreateUserRequestSchema>;
export type UserInit = MessageInitShape<typeof UserSchema>;

/** A user to create of whom everything is said. */
export const COMPLETE = {
  email: "Ada@Example.com",
  name: "Ada Lovelace",
  role: UserRole.ADMIN,
  username: "Ada.L",
  age: 36,
  status: UserStatus.ACTIVE,
  tags: ["mathematician", "first"],
  metadata: { team: "engine", "cost.centre": "7" },
  contact: { case: "phone", value: "+441234567890" },
  profile: { bio: "Writes notes.", avatarUrl: "https://example.com/ada.png" },
} as const satisfies Exclude<CreateUserInit, { $typeName: string }>;

/** A client of a server of its own, as an admin. */
export async function startClient(environment: Record<string, string> = {}): Promise<UserClient> {
  return userClient(await startTestServer({ environment }));
}

/** Creates a user, of whom the test says what matters. */
export async function createUser(client: UserClient, fields: CreateUserInit = {}): Promise<User> {
  const { user } = await client.createUser({ email: "grace@example.com", name: "Grace", ...fields });
  return user ?? expect.fail("the response holds no user");
}

export async function getUser(client: UserClient, id: string): Promise<User> {
  const { user } = await client.getUser({ id });
  return user ?? expect.fail("the response holds no user");
}

/** Changes the fields of a user that the paths name. */
export async function updateUser(client: UserClient, user: UserInit, ...paths: string[]): Promise<User> {
  const response = await client.updateUser({ user, updateMask: { paths } });
  return response.user ?? expect.fail("the response holds no user");
}

/** What ListUsers streams, and the token that comes with it. */
export async function listUsers(
  client: UserClient,
  request: MessageInitShape<typeof ListUsersRequestSchema> = {},
): Promise<{ users: User[]; next: string | null }> {
  let next: string | null = null;
  const users = await collect(
    client.listUsers(request, {
      onTrailer(trailer) {
        next = trailer.get("x-next-page-token");
      },
    }),
  );
  return { users, next };
}

export function idsOf(users: readonly User[]): string[] {
  return users.map(({ id }) => id);
}

/** Creates users so large that a message can hold no more than 250 of them, and returns their ids. */
export async function createLargeUsers(client: UserClient, count: number): Promise<string[]> {
  const users = newUsers(count, "large").map((user) => ({ ...user, profile: { bio: "x".repeat(16_384) } }));
  return (await client.createUsers(streamOf(...users))).userIds;
}
