import { setTimeout } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import type { handleBidiStreamingCall, handleClientStreamingCall, handleUnaryCall } from "@grpc/grpc-js";
import { Metadata, type StatusObject, status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import {
  type CreateUserRequest,
  CreateUserRequestSchema,
  CreateUserResponseSchema,
  CreateUsersResponseSchema,
  type GetUserRequest,
  type GetUserResponse,
  GetUserResponseSchema,
  UserService,
} from "../../src/gen/user/v1/user_service_pb.ts";
import { startBareServer } from "../support/bare-server.ts";
import { publishedClient } from "../support/client.ts";
import { failureOf } from "../support/errors.ts";
import { FULL } from "../support/full.ts";
import { collect, newUsers, streamOf } from "../support/server.ts";

const UNAVAILABLE = { code: status.UNAVAILABLE, details: "not now" };

/** The metadata of a server that asks to be left alone for so long, or for good if it is negative. */
function pushback(ms: string): Metadata {
  const metadata = new Metadata();
  metadata.set("grpc-retry-pushback-ms", ms);
  return metadata;
}

/** What is tried again at once. */
const TRY_AGAIN = { ...UNAVAILABLE, metadata: pushback("1") };

/** A GetUser that fails a few times before it succeeds, and counts its calls. */
function failingFirst(failures: number, failure: Partial<StatusObject>) {
  const handler: handleUnaryCall<GetUserRequest, GetUserResponse> & { calls: number } = Object.assign(
    (...[{ request }, callback]: Parameters<handleUnaryCall<GetUserRequest, GetUserResponse>>) => {
      if (++handler.calls <= failures) callback(failure);
      else callback(null, create(GetUserResponseSchema, { user: { id: request.id } }));
    },
    { calls: 0 },
  );
  return handler;
}

describe("the client", () => {
  it("tries an idempotent call again while the service is unavailable", async () => {
    const getUser = failingFirst(3, UNAVAILABLE);
    const client = publishedClient(await startBareServer(UserService, { getUser }));
    await expect(client.getUser({ id: "ada" })).resolves.toMatchObject({ user: { id: "ada" } });
    expect(getUser.calls).toBe(4);
  });

  it("gives up after four attempts", async () => {
    const getUser = failingFirst(4, TRY_AGAIN);
    const client = publishedClient(await startBareServer(UserService, { getUser }));
    expect(await failureOf(client.getUser({ id: "ada" }))).toMatchObject({ code: "Unavailable", message: "not now" });
    expect(getUser.calls).toBe(4);
  });

  it("does not try again after another failure", async () => {
    const getUser = failingFirst(1, { code: status.INTERNAL });
    const client = publishedClient(await startBareServer(UserService, { getUser }));
    expect(await failureOf(client.getUser({ id: "ada" }))).toMatchObject({ code: "Internal" });
    expect(getUser.calls).toBe(1);
  });

  it("never tries a call again that is not known to be idempotent", async () => {
    let calls = 0;
    const deleteUser: handleUnaryCall<unknown, unknown> = (_call, callback) => {
      calls++;
      callback(UNAVAILABLE);
    };
    const uploadUserData: handleClientStreamingCall<unknown, unknown> = (_call, callback) => {
      calls++;
      callback(UNAVAILABLE);
    };
    const chat: handleBidiStreamingCall<unknown, unknown> = (call) => {
      calls++;
      call.emit("error", UNAVAILABLE);
    };
    const client = publishedClient(await startBareServer(UserService, { deleteUser, uploadUserData, chat }));
    const failure = { code: "Unavailable" };
    expect(await failureOf(client.deleteUser({ id: "ada" }))).toMatchObject(failure);
    expect(await failureOf(client.uploadUserData([]))).toMatchObject(failure);
    expect(await failureOf(collect(client.chat(streamOf({ message: "hello" }))))).toMatchObject(failure);
    expect(calls).toBe(3);
  });

  it("waits for as long as the server asks it to, and not at all if the server says so", async () => {
    const asked = ["1", "-1", "1"];
    const getUser: handleUnaryCall<unknown, GetUserResponse> = (_call, callback) => {
      callback({ ...UNAVAILABLE, metadata: pushback(asked.shift() ?? "1") });
    };
    const client = publishedClient(await startBareServer(UserService, { getUser }));
    expect(await failureOf(client.getUser({ id: "ada" }))).toMatchObject({ code: "Unavailable" });
    expect(asked).toEqual(["1"]);
  });

  it("fails with UNAVAILABLE when nothing listens", async () => {
    const client = publishedClient({ address: "127.0.0.1:1" });
    const calls = [client.getUser({ id: "ada" }), client.createUsers(newUsers(1))];
    for (const failure of await Promise.all(calls.map(failureOf)))
      expect(failure).toMatchObject({ code: "Unavailable" });
  });
});

describe("a creation", () => {
  interface Attempt {
    readonly expected: unknown;
    readonly requests: readonly CreateUserRequest[];
  }

  /** A server that fails each creation a few times, after it has read all of it. */
  async function startFailing(failures: number) {
    const attempts: Attempt[] = [];
    const createUser: handleUnaryCall<CreateUserRequest, unknown> = ({ request }, callback) => {
      attempts.push({ expected: undefined, requests: [request] });
      if (attempts.length <= failures) callback(TRY_AGAIN);
      else callback(null, create(CreateUserResponseSchema));
    };
    const createUsers: handleClientStreamingCall<CreateUserRequest, unknown> = async (call, callback) => {
      const requests = await Array.fromAsync(call as AsyncIterable<CreateUserRequest>);
      attempts.push({ expected: call.metadata.get("x-expected-count")[0], requests });
      if (attempts.length <= failures) callback(TRY_AGAIN);
      else callback(null, create(CreateUsersResponseSchema, { createdCount: requests.length }));
    };
    return { ...(await startBareServer(UserService, { createUser, createUsers })), attempts };
  }

  const idsOf = (attempts: readonly Attempt[]) =>
    attempts.map(({ requests }) => requests.map(({ requestId }) => requestId));

  it("is tried again with the same request_id, which the client makes", async () => {
    const server = await startFailing(2);
    const client = publishedClient(server);
    await client.createUser({ email: "ada@example.com", name: "Ada" });
    await client.createUser({ email: "ada@example.com", name: "Ada" });
    const [first, second, third, other] = idsOf(server.attempts).flat();
    expect(first).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect([second, third]).toEqual([first, first]);
    expect(other).not.toBe(first);
  });

  it("keeps the request_id that the caller gives, and the caller's message as it is", async () => {
    const server = await startFailing(0);
    const client = publishedClient(server);
    const requestId = "7d9a2f04-5c0e-4a8e-9d61-3b1f6f0c2a11";
    const request = create(CreateUserRequestSchema, { email: "ada@example.com", name: "Ada" });
    await client.createUser({ ...request, requestId });
    await client.createUser(request);
    expect(idsOf(server.attempts)[0]).toEqual([requestId]);
    expect(request.requestId).toBe("");
  });

  it("is one made again by an interceptor as well", async () => {
    const server = await startFailing(4);
    const again: Interceptor = (next) => (request) => next(request).catch(() => next(request));
    await publishedClient(server, { interceptors: [again] }).createUser({ email: "ada@example.com", name: "Ada" });
    expect(server.attempts).toHaveLength(5);
    expect(new Set(idsOf(server.attempts).flat()).size).toBe(1);
  });

  it.each([
    ["an array", "200", () => newUsers(200)],
    ["a stream", undefined, () => streamOf(...newUsers(200))],
  ])("of many in %s is tried again whole", async (_, expected, users) => {
    const server = await startFailing(2);
    expect(await publishedClient(server).createUsers(users())).toMatchObject({ createdCount: 200 });
    expect(server.attempts.map((attempt) => attempt.expected)).toEqual([expected, expected, expected]);
    const [first = [], ...others] = idsOf(server.attempts);
    expect(new Set(first).size).toBe(200);
    expect(others).toEqual([first, first]);
  });
});

describe("the budget of retries", () => {
  const CLIENTS = FULL ? 50 : 5;
  /** In FULL, for a minute; else as fast as it goes. */
  const CALLS = FULL ? 60 : 40;
  const PAUSE_MS = FULL ? 900 : 0;

  it("leaves a service that is down with at most 1.2 attempts for each call, whoever calls", async () => {
    let attempts = 0;
    const getUser: handleUnaryCall<unknown, unknown> = (_call, callback) => {
      attempts++;
      callback(FULL ? UNAVAILABLE : TRY_AGAIN);
    };
    const { address } = await startBareServer(UserService, { getUser });
    // Each has an address of its own, because those of one address in one process share their budget.
    const clients = Array.from({ length: CLIENTS }, (_, n) => {
      return publishedClient({ address: `dns://127.0.1.${n + 1}/${address}` });
    });
    await Promise.all(
      clients.map(async (client) => {
        for (let call = 0; call < CALLS; call++) {
          expect(await failureOf(client.getUser({ id: "ada" }))).toMatchObject({ code: "Unavailable" });
          if (PAUSE_MS > 0) await setTimeout(PAUSE_MS);
        }
      }),
    );
    const ratio = attempts / (CLIENTS * CALLS);
    if (FULL) console.info({ attempts, calls: CLIENTS * CALLS, ratio });
    expect(ratio).toBeGreaterThan(1);
    expect(ratio).toBeLessThanOrEqual(1.2);
  });
});
