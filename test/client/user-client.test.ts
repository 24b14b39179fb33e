import { Code, ConnectError, createContextKey, createContextValues, type Interceptor } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { createUserClient } from "../../src/client/user-client.ts";
import { ProbeService } from "../gen/probe/v1/probe_pb.ts";
import { publishedClient, serviceClient } from "../support/client.ts";
import { failureOf } from "../support/errors.ts";
import { startProbe } from "../support/probe.ts";
import { ADMIN, collect, newUsers, startTestServer, streamOf, tokenFor } from "../support/server.ts";

/** Makes each call that fails once more. */
const again: Interceptor = (next) => (request) => next(request).catch(() => next(request));

describe("createUserClient", () => {
  it("calls methods of all four shapes", async () => {
    const client = publishedClient(await startTestServer());
    const { userIds, createdCount } = await client.createUsers(newUsers(3));
    expect(createdCount).toBe(3);
    const { user } = await client.getUser({ id: userIds[1] ?? "" });
    expect(user).toMatchObject({ email: "user1@example.com", name: "user number 1" });
    expect((await collect(client.listUsers({}))).map(({ id }) => id)).toEqual(userIds);
    const answers = await collect(client.chat(streamOf({ message: "one" }, { message: "two" })));
    expect(answers.map(({ message }) => message)).toEqual(["Echo: one", "Echo: two"]);
  });

  it("hands out headers and trailers", async () => {
    const client = publishedClient(await startTestServer());
    await client.createUsers(newUsers(2));
    const seen: Record<string, string | null> = {};
    const options = {
      headers: { "x-request-id": "mine" },
      onHeader: (header: Headers) => {
        seen.requestId = header.get("x-request-id");
      },
      onTrailer: (trailer: Headers) => {
        seen.next = trailer.get("x-next-page-token");
      },
    };
    await collect(client.listUsers({ pageSize: 1 }, options));
    expect(seen).toEqual({ requestId: "mine", next: expect.stringMatching(/./) });
    await client.getUser({ id: "nobody" }, options).catch(() => {});
    await client.createUsers(newUsers(1, "more"), { ...options, headers: { "x-request-id": "another" } });
    expect(seen.requestId).toBe("another");
  });

  it("fails with a ConnectError that has the code, the message, the details and the metadata of the status", async () => {
    const client = publishedClient(await startTestServer());
    const headers = { "x-request-id": "mine" };
    for (const call of [
      () => client.createUsers([{ email: "", name: "x" }], { headers }),
      () => collect(client.listUsers({ pageSize: -1 }, { headers })),
      () => collect(client.chat(streamOf({ userId: "x".repeat(129) }), { headers })),
      () => client.getUser({ id: "" }, { headers }),
    ]) {
      const error = await call().then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(ConnectError);
      expect((error as ConnectError).code).toBe(Code.InvalidArgument);
      expect((error as ConnectError).metadata.get("x-request-id")).toBe("mine");
    }
    expect(await failureOf(client.getUser({ id: "nobody" }))).toEqual({
      code: "NotFound",
      message: "no such user",
      reason: "USER_NOT_FOUND",
      domain: "user.v1",
      facts: {},
      violations: [],
      resource: "user.v1.User/nobody",
    });
    expect(await failureOf(client.createUsers([{ email: "", name: "x" }]))).toMatchObject({
      violations: ["messages[0].email: STRING_MIN_BYTES"],
    });
  });

  it("leaves no rejection unhandled when a failing stream is not read", async () => {
    const server = await startTestServer();
    const client = publishedClient(server);
    client.listUsers({ pageSize: -1 });
    await server.logs.waitForCalls(1, "ListUsers");
    // Its status has arrived when this one has.
    await client.getUser({ id: "nobody" }).catch(() => {});
  });

  it("rejects a request that its type cannot hold", async () => {
    const client = publishedClient(await startTestServer());
    const call = collect(client.listUsers({ pageSize: 2 ** 40 }));
    expect(await failureOf(call)).toMatchObject({ code: "InvalidArgument" });
  });
});

describe("a token", () => {
  it("is a string", async () => {
    const server = await startTestServer();
    const client = publishedClient(server, { token: await tokenFor(ADMIN) });
    expect(await failureOf(client.getUser({ id: "nobody" }))).toMatchObject({ code: "NotFound" });
    const stranger = publishedClient(server, { token: "forged" });
    expect(await failureOf(stranger.getUser({ id: "nobody" }))).toMatchObject({ code: "Unauthenticated" });
  });

  it("is a function, which is asked at each call", async () => {
    let asked = 0;
    const token = () => {
      asked++;
      return tokenFor(ADMIN);
    };
    const client = publishedClient(await startTestServer(), { token });
    await client.createUsers(newUsers(1));
    expect(await collect(client.listUsers({}))).toHaveLength(1);
    expect(asked).toBe(2);
  });

  it("fails the call with UNAUTHENTICATED if there is none to be had", async () => {
    const token = () => Promise.reject(new Error("the issuer is down"));
    const client = publishedClient(await startTestServer(), { token });
    const failure = { code: "Unauthenticated", message: "the issuer is down" };
    expect(await failureOf(client.getUser({ id: "ada" }))).toMatchObject(failure);
    expect(await failureOf(collect(client.listUsers({})))).toMatchObject(failure);
  });

  it("is not told by the failure when it is none", async () => {
    const server = await startTestServer();
    const message = "the token has characters that no header takes";
    for (const token of ["a secret\nin two lines", "a sécret"]) {
      const call = publishedClient(server, { token }).getUser({ id: "ada" });
      expect(await failureOf(call)).toMatchObject({ code: "Unauthenticated", message });
    }
  });

  it("is asked for again when an interceptor tries the call again", async () => {
    const tokens = ["expired", await tokenFor(ADMIN)];
    const options = { token: () => tokens.shift() ?? "", interceptors: [again] };
    const client = publishedClient(await startTestServer(), options);
    expect(await failureOf(client.getUser({ id: "nobody" }))).toMatchObject({ code: "NotFound" });
    expect(tokens).toEqual([]);
  });

  it("gives way to the call's own", async () => {
    const client = publishedClient(await startTestServer(), { token: "forged" });
    const headers = { authorization: `Bearer ${await tokenFor(ADMIN)}` };
    expect(await failureOf(client.getUser({ id: "nobody" }, { headers }))).toMatchObject({ code: "NotFound" });
  });
});

describe("x-expected-count", () => {
  async function startCounter() {
    const seen: (string | null)[] = [];
    const server = await startProbe({
      async collect(requests, { requestHeader }) {
        seen.push(requestHeader.get("x-expected-count"));
        const texts = await Array.fromAsync(requests, ({ text }) => text);
        return { text: texts.join(",") };
      },
    });
    return { client: serviceClient(ProbeService, server), seen };
  }

  const requests = [{ text: "a" }, { text: "b" }, { text: "c" }];

  it("is sent with an array", async () => {
    const { client, seen } = await startCounter();
    expect(await client.collect(requests)).toMatchObject({ text: "a,b,c" });
    expect(seen).toEqual(["3"]);
  });

  it("is not invented for what has no known length", async () => {
    const { client, seen } = await startCounter();
    for (const unknown of [streamOf(...requests), requests.values(), new Set(requests)]) {
      expect(await client.collect(unknown)).toMatchObject({ text: "a,b,c" });
    }
    expect(seen).toEqual([null, null, null]);
  });

  it("is the caller's if the caller sends it", async () => {
    const { client, seen } = await startCounter();
    const call = client.collect(requests, { headers: { "x-expected-count": "4" } });
    expect(await failureOf(call)).toMatchObject({ code: "DataLoss" });
    expect(seen).toEqual(["4"]);
  });
});

describe("interceptors", () => {
  it("see calls from the caller inward, with the caller's context values", async () => {
    const key = createContextKey("nothing");
    const seen: string[] = [];
    const noting =
      (name: string): Interceptor =>
      (next) =>
      async (request) => {
        seen.push(`${name} ${request.method.name} ${request.contextValues.get(key)}`);
        return next(request);
      };
    const client = serviceClient(ProbeService, await startProbe(), {
      interceptors: [noting("outer"), noting("inner")],
    });
    const contextValues = createContextValues().set(key, "something");
    await client.public({}, { contextValues });
    await collect(client.produce({ number: 1 }));
    expect(seen).toEqual([
      "outer Public something",
      "inner Public something",
      "outer Produce nothing",
      "inner Produce nothing",
    ]);
  });

  it("may try a unary call again, which follows the caller's signal still", async () => {
    const controller = new AbortController();
    let calls = 0;
    const server = await startProbe({
      async public(_request, { signal }) {
        if (++calls === 1) throw new ConnectError("not yet", Code.Aborted);
        controller.abort();
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        return {};
      },
    });
    const client = serviceClient(ProbeService, server, { interceptors: [again] });
    const call = client.public({}, { signal: controller.signal });
    expect(await failureOf(call)).toMatchObject({ code: "Canceled" });
    expect(calls).toBe(2);
  });

  it("cannot try a stream again", async () => {
    let calls = 0;
    const server = await startProbe({
      // biome-ignore lint/correctness/useYield: the stream is to fail before its first message
      async *produce() {
        calls++;
        throw new ConnectError("not yet", Code.Aborted);
      },
    });
    const client = serviceClient(ProbeService, server, { interceptors: [again] });
    const failure = { code: "Internal", message: "an interceptor made the call again after its end" };
    expect(await failureOf(collect(client.produce({})))).toMatchObject(failure);
    expect(calls).toBe(1);
  });

  it("may fail a call, which is cancelled then", async () => {
    const refusing: Interceptor = (next) => async (request) => {
      await next(request);
      throw new ConnectError("refused", Code.Aborted);
    };
    const server = await startProbe({
      async *produce(_request, { signal }) {
        yield {};
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
    });
    const client = serviceClient(ProbeService, server, { interceptors: [refusing] });
    expect(await failureOf(collect(client.produce({})))).toMatchObject({ code: "Aborted", message: "refused" });
    expect(await server.logs.waitForCalls(1, "Produce")).toMatchObject([{ code: "CANCELLED" }]);
  });
});

describe("close", () => {
  it("ends the calls that are open, and refuses later ones", async () => {
    const server = await startProbe();
    const client = serviceClient(ProbeService, server);
    const responses = client.produce({ number: 1_000_000 })[Symbol.asyncIterator]();
    await responses.next();
    client.close();
    client.close();
    const failure = { code: "Canceled", message: "the client is closed" };
    expect(await failureOf(responses.next())).toMatchObject(failure);
    expect(await failureOf(client.public({}))).toMatchObject(failure);
    expect(await failureOf(collect(client.produce({})))).toMatchObject(failure);
    expect(await server.logs.waitForCalls(1, "Produce")).toMatchObject([{ code: "CANCELLED" }]);
  });

  it("happens at the end of a `using` block", async () => {
    const server = await startTestServer();
    let kept: ReturnType<typeof createUserClient>;
    {
      using client = createUserClient(server.address, { token: await tokenFor(ADMIN) });
      await client.createUsers(newUsers(1));
      kept = client;
    }
    expect(await failureOf(kept.getUser({ id: "ada" }))).toMatchObject({ code: "Canceled" });
  });
});
