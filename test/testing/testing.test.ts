import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { readFailure } from "../../src/client/failure.ts";
import { createUserClient } from "../../src/client/user-client.ts";
import { createFake, failing, startTestServer, unavailable } from "../../src/testing/testing.ts";
import { failureOf } from "../support/errors.ts";
import { lastingPort } from "../support/ports.ts";
import { newUsers } from "../support/server.ts";

describe("startTestServer", () => {
  it("starts the real service, with nobody in it, and makes tokens for it", async () => {
    await using server = await startTestServer();
    using client = createUserClient(server.address, { token: await server.token() });
    const { userIds } = await client.createUsers(newUsers(2));
    const users = await Array.fromAsync(client.listUsers({}));
    expect(users.map(({ id }) => id)).toEqual(userIds);
    using user = createUserClient(server.address, { token: await server.token({ id: "ada", role: "user" }) });
    expect(await failureOf(Array.fromAsync(user.listUsers({})))).toMatchObject({ code: "PermissionDenied" });
    using nobody = createUserClient(server.address);
    expect(await failureOf(nobody.getUser({ id: "ada" }))).toMatchObject({ code: "Unauthenticated" });
  });

  it("knows no users or tokens of another one", async () => {
    await using one = await startTestServer();
    await using other = await startTestServer();
    using client = createUserClient(other.address, { token: await one.token() });
    expect(await failureOf(client.getUser({ id: "ada" }))).toMatchObject({ code: "Unauthenticated" });
  });

  it("listens on the port that it is told, also after another one", async () => {
    const first = await startTestServer({ port: await lastingPort() });
    await first.stop();
    await using second = await startTestServer({ port: first.port });
    expect(second.address).toBe(first.address);
  });

  it("takes settings of the service", async () => {
    await using server = await startTestServer({ environment: { MAX_USERS_PER_CALL: "1" } });
    using client = createUserClient(server.address, { token: await server.token() });
    expect(await failureOf(client.createUsers(newUsers(2)))).toMatchObject({ code: "ResourceExhausted" });
  });
});

describe("createFake", () => {
  it("does what it is told, for methods of all four kinds", async () => {
    await using fake = await createFake({
      getUser: async ({ id }) => ({ user: { id, name: "Ada" } }),
      async *listUsers({ pageSize }) {
        for (let n = 0; n < pageSize; n++) yield { id: String(n) };
      },
      async createUsers(requests) {
        return { createdCount: (await Array.fromAsync(requests)).length };
      },
      async *chat(messages) {
        for await (const { message } of messages) yield { message: message.toUpperCase() };
      },
    });
    using client = createUserClient(fake.address);
    expect(await client.getUser({ id: "a" })).toMatchObject({ user: { id: "a", name: "Ada" } });
    expect(await Array.fromAsync(client.listUsers({ pageSize: 3 }))).toHaveLength(3);
    expect(await client.createUsers(newUsers(4))).toMatchObject({ createdCount: 4 });
    const said = (async function* () {
      yield { message: "hello" };
    })();
    expect((await Array.fromAsync(client.chat(said))).map(({ message }) => message)).toEqual(["HELLO"]);
  });

  it("keeps the calls that come", async () => {
    await using fake = await createFake({
      getUser: async () => ({}),
      createUsers: async (requests) => ({ createdCount: (await Array.fromAsync(requests)).length }),
    });
    using client = createUserClient(fake.address, { token: "mine" });
    await client.getUser({ id: "ada" });
    await client.createUsers(newUsers(2));
    expect(fake.calls).toMatchObject([
      { method: "getUser", requests: [{ id: "ada" }] },
      { method: "createUsers", requests: [{ email: "user0@example.com" }, { email: "user1@example.com" }] },
    ]);
    expect(fake.calls.map(({ headers }) => headers.get("authorization"))).toEqual(["Bearer mine", "Bearer mine"]);
  });

  it("sends the headers and trailers of a script", async () => {
    await using fake = await createFake({
      async getUser(_request, { responseHeader, responseTrailer }) {
        responseHeader.set("x-request-id", "1");
        responseTrailer.set("x-more", "2");
        return {};
      },
      async *listUsers(_request, { responseHeader, responseTrailer }) {
        responseHeader.set("x-request-id", "3");
        yield { id: "ada" };
        responseTrailer.set("x-next-page-token", "4");
      },
    });
    using client = createUserClient(fake.address);
    const seen: (string | null)[] = [];
    const note = (name: string) => (headers: Headers) => void seen.push(headers.get(name));
    await client.getUser({}, { onHeader: note("x-request-id"), onTrailer: note("x-more") });
    const options = { onHeader: note("x-request-id"), onTrailer: note("x-next-page-token") };
    await Array.fromAsync(client.listUsers({}, options));
    expect(seen).toEqual(["1", "2", "3", "4"]);
  });

  it("does one thing after another, and the last of them ever after", async () => {
    await using fake = await createFake({
      deleteUser: [unavailable(), failing({ code: "ABORTED" }), async () => ({ success: true })],
    });
    using client = createUserClient(fake.address);
    expect(await failureOf(client.deleteUser({ id: "ada" }))).toMatchObject({ code: "Unavailable" });
    expect(await failureOf(client.deleteUser({ id: "ada" }))).toMatchObject({ code: "Aborted" });
    for (let n = 0; n < 2; n++) expect(await client.deleteUser({ id: "ada" })).toMatchObject({ success: true });
    fake.script({ deleteUser: failing({ code: "NOT_FOUND" }) });
    expect(await failureOf(client.deleteUser({ id: "ada" }))).toMatchObject({ code: "NotFound" });
  });

  it("fails as the service does, with details", async () => {
    const failure = {
      code: "INVALID_ARGUMENT",
      message: "no",
      reason: "INVALID_REQUEST",
      facts: { more: "facts" },
      violations: [{ field: "id", reason: "STRING_MIN_BYTES", description: "must have a byte" }],
      resource: { type: "user.v1.User", name: "ada" },
      retryDelayMs: 1500,
    } as const;
    await using fake = await createFake({ deleteUser: failing(failure), listUsers: failing(failure) });
    using client = createUserClient(fake.address);
    const thrown = (call: Promise<unknown>) => call.catch((error: unknown) => readFailure(error));
    const seen = { ...failure, domain: "user.v1", requestId: undefined };
    expect(await thrown(client.deleteUser({ id: "ada" }))).toEqual(seen);
    expect(await thrown(Array.fromAsync(client.listUsers({})))).toEqual(seen);
  });

  it("fails after what it has streamed", async () => {
    await using fake = await createFake({
      async *listUsers() {
        yield { id: "1" };
        throw new ConnectError("enough", Code.Aborted);
      },
    });
    using client = createUserClient(fake.address);
    const users = client.listUsers({})[Symbol.asyncIterator]();
    expect(await users.next()).toMatchObject({ value: { id: "1" } });
    expect(await failureOf(users.next())).toMatchObject({ code: "Aborted", message: "enough" });
  });

  it("takes its time", async () => {
    await using fake = await createFake({
      getUser: { delayMs: 60_000, behaviour: async () => ({}) },
      deleteUser: { delayMs: 1, behaviour: failing({ code: "ABORTED" }) },
    });
    using client = createUserClient(fake.address);
    expect(await failureOf(client.getUser({ id: "a" }, { timeoutMs: 20 }))).toMatchObject({ code: "DeadlineExceeded" });
    expect(await failureOf(client.deleteUser({ id: "a" }))).toMatchObject({ code: "Aborted" });
  });

  it("lets go of a call at its end", async () => {
    const signals: AbortSignal[] = [];
    await using fake = await createFake({
      async getUser(_request, { signal }) {
        signals.push(signal);
        return {};
      },
      async *listUsers(_request, { signal }) {
        signals.push(signal);
        yield {};
      },
    });
    using client = createUserClient(fake.address);
    await client.getUser({ id: "ada" });
    await Array.fromAsync(client.listUsers({}));
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  });

  it("answers methods of which it was told nothing with UNIMPLEMENTED, and faults of a script with their message", async () => {
    await using fake = await createFake({
      deleteUser: async () => {
        throw new TypeError("a fault of the test");
      },
    });
    using client = createUserClient(fake.address);
    expect(await failureOf(client.getUser({ id: "ada" }))).toMatchObject({ code: "Unimplemented" });
    expect(await failureOf(Array.fromAsync(client.watchUsers({})))).toMatchObject({ code: "Unimplemented" });
    expect(await failureOf(client.deleteUser({ id: "ada" }))).toMatchObject({
      code: "Internal",
      message: "a fault of the test",
    });
  });
});
