import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { ChatMessageSchema, UserRole, UserService } from "./gen/user/v1/user_pb.ts";
import { collect, newUsers, startTestServer, streamOf, transportTo } from "./support/server.ts";

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

  it("chats", async () => {
    const client = createClient(UserService, transportTo(await startTestServer()));
    const timestamp = timestampFromMs(1_750_000_000_000);
    const answers = await collect(client.chat(streamOf({ userId: "ada", message: "hello", timestamp })));
    expect(answers).toEqual([create(ChatMessageSchema, { userId: "server", message: "Echo: hello", timestamp })]);
  });
});
