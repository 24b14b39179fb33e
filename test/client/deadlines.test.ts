import { create } from "@bufbuild/protobuf";
import type { handleBidiStreamingCall, handleServerStreamingCall, handleUnaryCall } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { type GetUserResponse, GetUserResponseSchema, UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { ProbeService } from "../gen/probe/v1/probe_pb.ts";
import { startBareServer } from "../support/bare-server.ts";
import { publishedClient, serviceClient } from "../support/client.ts";
import { failureOf } from "../support/errors.ts";
import { startProbe } from "../support/probe.ts";
import { collect, streamOf } from "../support/server.ts";

/** A server that keeps the seconds, rounded up, that each call has left when it arrives. */
async function startClock() {
  const left: number[] = [];
  const note = (call: { getDeadline(): Date | number }) =>
    left.push(Math.ceil((Number(call.getDeadline()) - Date.now()) / 1000));
  const getUser: handleUnaryCall<unknown, GetUserResponse> = (call, callback) => {
    note(call);
    callback(null, create(GetUserResponseSchema));
  };
  const listUsers: handleServerStreamingCall<unknown, unknown> = (call) => {
    note(call);
    call.end();
  };
  const chat: handleBidiStreamingCall<unknown, unknown> = (call) => {
    note(call);
    call.end();
  };
  return { ...(await startBareServer(UserService, { getUser, listUsers, chat })), left };
}

describe("a deadline", () => {
  it("is the one that the contract states for the method", async () => {
    const server = await startClock();
    const client = publishedClient(server);
    await client.getUser({ id: "ada" });
    await collect(client.listUsers({}));
    await collect(client.chat(streamOf()));
    const [getUser = 0, listUsers = 0, chat] = server.left;
    expect(getUser).toBeGreaterThan(0);
    expect(getUser).toBeLessThanOrEqual(5);
    expect(listUsers).toBeGreaterThan(5);
    expect(listUsers).toBeLessThanOrEqual(60);
    expect(chat).toBe(Number.POSITIVE_INFINITY);
  });

  it("is the client's own if it has one", async () => {
    const server = await startClock();
    await publishedClient(server, { defaultTimeoutMs: 500_000 }).getUser({ id: "ada" });
    await publishedClient(server, { defaultTimeoutMs: Number.POSITIVE_INFINITY }).getUser({ id: "ada" });
    const [own = 0, none] = server.left;
    expect(own).toBeGreaterThan(5);
    expect(own).toBeLessThanOrEqual(500);
    expect(none).toBe(Number.POSITIVE_INFINITY);
  });

  it("is the call's own above all", async () => {
    const server = await startClock();
    const client = publishedClient(server, { defaultTimeoutMs: 1000 });
    await client.getUser({ id: "ada" }, { timeoutMs: 500_000 });
    await client.getUser({ id: "ada" }, { timeoutMs: 0 });
    const [own = 0, none] = server.left;
    expect(own).toBeGreaterThan(5);
    expect(own).toBeLessThanOrEqual(500);
    expect(none).toBe(Number.POSITIVE_INFINITY);
  });

  it("is none if it is further away than timers reach", async () => {
    const server = await startClock();
    const client = publishedClient(server);
    await client.getUser({ id: "ada" }, { timeoutMs: Number.MAX_SAFE_INTEGER });
    await collect(client.listUsers({}, { timeoutMs: 2 ** 31 }));
    expect(server.left).toEqual([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
  });

  it("ends the call with DEADLINE_EXCEEDED when it has passed", async () => {
    const never = new Promise<never>(() => {});
    const server = await startBareServer(ProbeService, { public: () => never, produce: () => never });
    const client = serviceClient(ProbeService, server);
    const options = { timeoutMs: 20 };
    expect(await failureOf(client.public({}, options))).toMatchObject({ code: "DeadlineExceeded" });
    expect(await failureOf(collect(client.produce({}, options)))).toMatchObject({ code: "DeadlineExceeded" });
  });

  it("also limits the wait for a token", async () => {
    const client = serviceClient(ProbeService, await startProbe(), { token: () => new Promise(() => {}) });
    const options = { timeoutMs: 20 };
    expect(await failureOf(client.public({}, options))).toMatchObject({ code: "DeadlineExceeded" });
    expect(await failureOf(collect(client.produce({}, options)))).toMatchObject({ code: "DeadlineExceeded" });
  });
});
