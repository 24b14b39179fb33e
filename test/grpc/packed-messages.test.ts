import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { UserSchema } from "../../src/gen/user/v1/user_pb.ts";
import { ListUsersRequestSchema } from "../../src/gen/user/v1/user_service_pb.ts";
import { packMessages } from "../../src/grpc/packed-messages.ts";
import { frame, openRequest } from "../support/raw-http2.ts";
import { ADMIN, newUsers, startTestServer, streamOf, tokenFor, userClient } from "../support/server.ts";

/** Frames a message as grpc-js does what a serializer returns. */
function frameLikeGrpcJs(message: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(message.byteLength + 5);
  framed.writeUInt8(0, 0);
  framed.writeUInt32BE(message.byteLength, 1);
  message.copy(framed, 5);
  return framed;
}

/** The messages of a body, each of which must have a prefix of its own. */
function unframe(body: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    expect(body.readUInt8(at)).toBe(0);
    const end = at + 5 + body.readUInt32BE(at + 1);
    messages.push(body.subarray(at + 5, end));
    at = end;
  }
  return messages;
}

describe("packed messages", () => {
  it.each([
    ["one", ["a message"]],
    ["several", ["one", "", "three", "x".repeat(70_000)]],
    ["an empty one first", ["", "two"]],
  ])("are framed as each would be alone: %s", (_name, texts) => {
    const messages = texts.map((text) => Buffer.from(text));
    expect(frameLikeGrpcJs(packMessages(messages))).toEqual(Buffer.concat(messages.map((each) => frame(each))));
  });

  it("reach the client as the messages they are", async () => {
    const server = await startTestServer();
    const { userIds } = await userClient(server).createUsers(streamOf(...newUsers(1000)));
    const headers = { authorization: `Bearer ${await tokenFor(ADMIN)}` };
    const { stream, response } = openRequest(server.port, "/user.v1.UserService/ListUsers", headers);
    stream.end(frame(toBinary(ListUsersRequestSchema, create(ListUsersRequestSchema, { pageSize: 1000 }))));
    const users = unframe((await response).body).map((bytes) => fromBinary(UserSchema, bytes));
    expect(users.map(({ id }) => id)).toEqual(userIds);
  });
});
