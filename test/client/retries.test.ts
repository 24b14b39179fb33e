import { create } from "@bufbuild/protobuf";
import type { handleBidiStreamingCall, handleClientStreamingCall, handleUnaryCall } from "@grpc/grpc-js";
import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import {
  type CreateUserRequest,
  type CreateUsersResponse,
  type GetUserRequest,
  type GetUserResponse,
  GetUserResponseSchema,
  UserService,
} from "../../src/gen/user/v1/user_service_pb.ts";
import { startBareServer } from "../support/bare-server.ts";
import { publishedClient } from "../support/client.ts";
import { failureOf } from "../support/errors.ts";
import { collect, newUsers, streamOf } from "../support/server.ts";

const UNAVAILABLE = { code: status.UNAVAILABLE, details: "not now" };

/** A GetUser that fails a few times before it succeeds, and counts its calls. */
function failingFirst(failures: number, code: status) {
  const handler: handleUnaryCall<GetUserRequest, GetUserResponse> & { calls: number } = Object.assign(
    (...[{ request }, callback]: Parameters<handleUnaryCall<GetUserRequest, GetUserResponse>>) => {
      if (++handler.calls <= failures) callback({ code, details: "not now" });
      else callback(null, create(GetUserResponseSchema, { user: { id: request.id } }));
    },
    { calls: 0 },
  );
  return handler;
}

describe("the client", () => {
  it("tries an idempotent call again while the service is unavailable", async () => {
    const getUser = failingFirst(3, status.UNAVAILABLE);
    const client = publishedClient(await startBareServer(UserService, { getUser }));
    await expect(client.getUser({ id: "ada" })).resolves.toMatchObject({ user: { id: "ada" } });
    expect(getUser.calls).toBe(4);
  });

  it("gives up after four attempts", async () => {
    const getUser = failingFirst(4, status.UNAVAILABLE);
    const client = publishedClient(await startBareServer(UserService, { getUser }));
    expect(await failureOf(client.getUser({ id: "ada" }))).toMatchObject({ code: "Unavailable", message: "not now" });
    expect(getUser.calls).toBe(4);
  });

  it("does not try again after another failure", async () => {
    const getUser = failingFirst(1, status.INTERNAL);
    const client = publishedClient(await startBareServer(UserService, { getUser }));
    expect(await failureOf(client.getUser({ id: "ada" }))).toMatchObject({ code: "Internal" });
    expect(getUser.calls).toBe(1);
  });

  it("never tries a call again that is not known to be idempotent", async () => {
    let calls = 0;
    const createUsers: handleClientStreamingCall<CreateUserRequest, CreateUsersResponse> = (_call, callback) => {
      calls++;
      callback(UNAVAILABLE);
    };
    const chat: handleBidiStreamingCall<unknown, unknown> = (call) => {
      calls++;
      call.emit("error", UNAVAILABLE);
    };
    const client = publishedClient(await startBareServer(UserService, { createUsers, chat }));
    expect(await failureOf(client.createUsers(newUsers(1)))).toMatchObject({ code: "Unavailable" });
    expect(await failureOf(collect(client.chat(streamOf({ message: "hello" }))))).toMatchObject({
      code: "Unavailable",
    });
    expect(calls).toBe(2);
  });

  it("fails with UNAVAILABLE when nothing listens", async () => {
    const client = publishedClient({ address: "127.0.0.1:1" });
    expect(await failureOf(client.getUser({ id: "ada" }))).toMatchObject({ code: "Unavailable" });
    expect(await failureOf(client.createUsers(newUsers(1)))).toMatchObject({ code: "Unavailable" });
  });
});
