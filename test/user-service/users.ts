import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import { afterAll, expect, onTestFinished } from "vitest";
import { type User, UserRole, type UserSchema, UserStatus } from "../../src/gen/user/v1/user_pb.ts";
import type {
  CreateUserRequestSchema,
  ListUsersRequestSchema,
  UserService,
} from "../../src/gen/user/v1/user_service_pb.ts";
import {
  callsEnded,
  closeTestServer,
  collect,
  newUsers,
  openTestServer,
  startTestServer,
  streamOf,
  type TestServer,
  userClient,
} from "../support/server.ts";

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

/** To delete more users than these takes longer than to start another server. */
const FEW_USERS = 8;

/**
 * Returns what gives a test a client, as an admin, of a service without users: of one that an earlier test had, or of a
 * new one. To be called where tests are collected; after the last of them, all servers are stopped.
 */
export function emptyServices(): () => Promise<UserClient> {
  const opened: TestServer[] = [];
  const idle: TestServer[] = [];
  afterAll(() => Promise.all(opened.map(closeTestServer)));
  return async () => {
    const server = idle.pop() ?? (await open());
    const client = userClient(server);
    onTestFinished(async ({ task }) => {
      // Nobody knows what it has left.
      if (task.result?.state === "fail") return;
      await callsEnded(server);
      if (await empty(client)) idle.push(server);
    });
    return client;
  };

  async function open(): Promise<TestServer> {
    const server = await openTestServer();
    opened.push(server);
    return server;
  }
}

/** Deletes all users, and returns whether there are none any more. */
async function empty(client: UserClient): Promise<boolean> {
  const { users, nextPageToken } = await client.listUsersPage({ pageSize: FEW_USERS });
  if (nextPageToken !== "") return false;
  for (const { id } of users) await client.deleteUser({ id });
  return true;
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
