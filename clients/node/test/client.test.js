import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Metadata, status } from "@grpc/grpc-js";
import { ErrorInfoSchema } from "user-service-client/gen/google/rpc/error_details_pb";
import { StatusSchema } from "user-service-client/gen/google/rpc/status_pb";
import {
  CreateUserResponseSchema,
  CreateUsersResponseSchema,
  GetUserResponseSchema,
  ListUsersPageResponseSchema,
  UpdateUserResponseSchema,
} from "user-service-client/gen/user/v1/user_service_pb";
import { WatchUsersResponseSchema } from "user-service-client/gen/user/v1/watch_pb";
import { startFake } from "user-service-client/testing";

const unavailable = { code: status.UNAVAILABLE, details: "restarting" };

/** The error of a call whose token has expired while it went on. */
function expired() {
  const info = anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason: "TOKEN_EXPIRED" }));
  const metadata = new Metadata();
  metadata.set(
    "grpc-status-details-bin",
    Buffer.from(toBinary(StatusSchema, create(StatusSchema, { details: [info] }))),
  );
  return { code: status.UNAUTHENTICATED, details: "expired", metadata };
}

/** Runs with a client of a fake that ends with the test. */
async function withFake(handlers, use, options) {
  const fake = await startFake(handlers, options);
  try {
    await use(fake.client);
  } finally {
    await fake[Symbol.asyncDispose]();
  }
}

test("sends the token and the deadline of the contract", async () => {
  const getUser = (call, done) => {
    const timeout = String(Math.round((call.getDeadline() - Date.now()) / 1000));
    const [token] = call.metadata.get("authorization");
    done(null, create(GetUserResponseSchema, { user: { metadata: { timeout, token } } }));
  };
  await withFake(
    { getUser },
    async (client) => {
      const { user } = await client.getUser({ id: "1" });
      assert.deepEqual(user?.metadata, { timeout: "5", token: "Bearer secret" });
      const patient = await client.getUser({ id: "1" }, { timeoutMs: 20_000 });
      assert.equal(patient.user?.metadata.timeout, "20");
    },
    { token: async () => "secret" },
  );
});

test("fails a call for which there is no token", async () => {
  const token = () => Promise.reject(new Error("expired"));
  await withFake({}, (client) => assert.rejects(client.getUser({ id: "1" }), { code: status.UNAUTHENTICATED }), {
    token,
  });
});

test("retries a creation with one request id", async () => {
  const ids = [];
  const createUser = ({ request }, done) => {
    ids.push(request.requestId);
    if (ids.length < 3) done(unavailable);
    else done(null, create(CreateUserResponseSchema));
  };
  await withFake({ createUser }, (client) => client.createUser({ email: "ada@example.com" }));
  assert.equal(ids.length, 3);
  assert.match(ids[0], /^[0-9a-f-]{36}$/);
  assert.equal(new Set(ids).size, 1);
});

test("never retries a change", async () => {
  let attempts = 0;
  const updateUser = (_call, done) =>
    ++attempts === 1 ? done(unavailable) : done(null, create(UpdateUserResponseSchema));
  await withFake({ updateUser }, (client) => assert.rejects(client.updateUser({}), { code: status.UNAVAILABLE }));
  assert.equal(attempts, 1);
});

test("creates all with their count", async () => {
  const ids = [];
  const createUsers = (call, done) => {
    const createdCount = Number(call.metadata.get("x-expected-count")[0]);
    call.on("data", ({ requestId }) => ids.push(requestId));
    call.on("end", () => done(null, create(CreateUsersResponseSchema, { createdCount })));
  };
  await withFake({ createUsers }, async (client) => {
    const { createdCount } = await client.createAll([{ email: "a@b" }, { email: "c@d", requestId: "mine" }]);
    assert.equal(createdCount, 2);
  });
  assert.notEqual(ids[0], "");
  assert.equal(ids[1], "mine");
});

test("fails as the requests do, of which nothing remains", async () => {
  const arrived = Promise.withResolvers();
  const cancelled = Promise.withResolvers();
  const createUsers = (call) => call.on("cancelled", cancelled.resolve).on("data", arrived.resolve);
  const chat = (call) => call.resume();
  async function* broken() {
    yield {};
    await arrived.promise;
    throw new Error("mine");
  }
  await withFake({ createUsers, chat }, async (client) => {
    await assert.rejects(client.createUsers(broken()), { message: "mine" });
    await cancelled.promise;
    await assert.rejects(client.chat(broken()).next(), { message: "mine" });
  });
});

test("lists all pages", async () => {
  const pages = {
    "": { users: [{ id: "1" }, { id: "2" }], nextPageToken: "second" },
    second: { users: [{ id: "3" }] },
  };
  const listUsersPage = ({ request }, done) =>
    done(null, create(ListUsersPageResponseSchema, pages[request.pageToken]));
  await withFake({ listUsersPage }, async (client) => {
    const ids = [];
    for await (const { id } of client.allUsers(2)) ids.push(id);
    assert.deepEqual(ids, ["1", "2", "3"]);
  });
});

test("resumes a watch", async () => {
  const resumed = [];
  const watchUsers = (call) => {
    resumed.push(call.request.resumeToken);
    call.write(create(WatchUsersResponseSchema, { resumeToken: String(resumed.length) }));
    call.emit("error", resumed.length === 2 ? expired() : unavailable);
  };
  await withFake({ watchUsers }, async (client) => {
    let count = 0;
    for await (const _ of client.watch()) if (++count === 3) break;
  });
  assert.deepEqual(resumed, ["", "1", "2"]);
});
