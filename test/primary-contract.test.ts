import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { UserRole as Role, UserStatus } from "../src/gen/user/v1/user_pb.ts";
import { ChatMessageSchema, UserRole, UserService } from "./gen/user/v1/user_pb.ts";
import { collect, newUsers, startTestServer, streamOf, transportTo, userClient } from "./support/server.ts";

describe("a client generated from the primary contract alone", () => {
  it("creates, gets and lists users", async () => {
    const client = createClient(UserService, transportTo(await startTestServer()));
    const created = await client.createUsers(streamOf(...newUsers(3)));
    expect(created.createdCount).toBe(3);

    const { user } = await client.getUser({ id: created.userIds[1] ?? "" });
    expect(user).toMatchObject({ email: "user1@example.com", name: "user number 1", role: UserRole.USER });
    expect(user?.createdAt).toBeDefined();

    const listed = await collect(client.listUsers({ pageSize: 2 }));
    expect(listed.map(({ id }) => id)).toEqual(created.userIds.slice(0, 2));
  });

  it("gets and lists users who have more than it knows of", async () => {
    const server = await startTestServer();
    const { user } = await userClient(server).createUser({
      email: "ada@example.com",
      name: "Ada",
      role: Role.ADMIN,
      username: "ada",
      age: 36,
      tags: ["first"],
      metadata: { team: "engine" },
      contact: { case: "phone", value: "+441234567890" },
      profile: { bio: "Writes notes." },
    });
    const expected = { id: user?.id, email: "ada@example.com", name: "Ada", role: UserRole.ADMIN };
    const client = createClient(UserService, transportTo(server));
    expect((await client.getUser({ id: user?.id ?? "" })).user).toMatchObject(expected);
    expect(await collect(client.listUsers({}))).toMatchObject([expected]);
  });

  it("creates users who have nothing that it does not know of", async () => {
    const server = await startTestServer();
    const client = createClient(UserService, transportTo(server));
    const { userIds } = await client.createUsers(streamOf(...newUsers(1)));
    const { user } = await userClient(server).getUser({ id: userIds[0] ?? "" });
    expect(user).toMatchObject({ status: UserStatus.ACTIVE, username: "", tags: [], metadata: {} });
    expect([user?.age, user?.contact.case, user?.profile]).toEqual([undefined, undefined, undefined]);
  });

  it("chats", async () => {
    const client = createClient(UserService, transportTo(await startTestServer()));
    const timestamp = timestampFromMs(1_750_000_000_000);
    const answers = await collect(client.chat(streamOf({ userId: "ada", message: "hello", timestamp })));
    expect(answers).toEqual([create(ChatMessageSchema, { userId: "server", message: "Echo: hello", timestamp })]);
  });
});
