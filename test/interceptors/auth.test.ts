import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { SignJWT } from "jose";
import pino from "pino";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Application, userApplication } from "../../src/application.ts";
import type { Principal } from "../../src/domain/principal.ts";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { startServer } from "../../src/server.ts";
import { principalKey } from "../../src/service/call-values.ts";
import { failureOf } from "../support/errors.ts";
import { probeClient, startProbe } from "../support/probe.ts";
import {
  ADMIN,
  collect,
  JWT_SECRET,
  newUsers,
  startTestServer,
  streamOf,
  testConfig,
  tokenFor,
  userClient,
} from "../support/server.ts";

const USER: Principal = { id: "alice", role: "user" };
const SERVICE: Principal = { id: "importer", role: "service" };
const UNAUTHENTICATED = {
  code: "Unauthenticated",
  message: "a valid bearer token is required",
  reason: "TOKEN_INVALID",
  domain: "user.v1",
};

/** Signs claims, with a header, that a well-meant token would not have. */
function sign(claims: Record<string, unknown>, secret = JWT_SECRET): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(Buffer.from(secret));
}

function unsigned(header: Record<string, unknown>, claims: Record<string, unknown>): string {
  const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString("base64url");
  return `${encode(header)}.${encode(claims)}.`;
}

const now = Math.floor(Date.now() / 1000);
const valid = { sub: "alice", role: "admin", exp: now + 600, iss: "the issuer", aud: "the audience" };

describe("a call without proof of identity", () => {
  const authorizations: Record<string, () => string | Promise<string>> = {
    "an empty value": () => "",
    "another scheme": () => "Basic YWxpY2U6c2VjcmV0",
    "no token": () => "Bearer ",
    "two tokens": async () => `Bearer ${await sign(valid)} ${await sign(valid)}`,
    "no JWT": () => "Bearer sesame",
    "another key": async () => `Bearer ${await sign(valid, "a secret that somebody else knows")}`,
    "alg none": () => `Bearer ${unsigned({ alg: "none" }, valid)}`,
    "no exp": async () => `Bearer ${await sign({ ...valid, exp: undefined })}`,
    "an exp that has passed": async () => `Bearer ${await sign({ ...valid, exp: now - 6 })}`,
    "an nbf to come": async () => `Bearer ${await sign({ ...valid, nbf: now + 600 })}`,
    "no sub": async () => `Bearer ${await sign({ ...valid, sub: undefined })}`,
    "an empty sub": async () => `Bearer ${await sign({ ...valid, sub: "" })}`,
    "a sub of 129 bytes": async () => `Bearer ${await sign({ ...valid, sub: `${"é".repeat(64)}e` })}`,
    "a sub with U+0000": async () => `Bearer ${await sign({ ...valid, sub: "a\0b" })}`,
    "a sub with half a surrogate pair": async () => `Bearer ${await sign({ ...valid, sub: "a\ud800b" })}`,
    "an unknown role": async () => `Bearer ${await sign({ ...valid, role: "root" })}`,
    "the wrong issuer": async () => `Bearer ${await sign({ ...valid, iss: "another" })}`,
    "the wrong audience": async () => `Bearer ${await sign({ ...valid, aud: "another" })}`,
    "no audience": async () => `Bearer ${await sign({ ...valid, aud: undefined })}`,
    "a token of 10 KB": async () => `Bearer ${await sign({ ...valid, padding: "x".repeat(10_000) })}`,
  };

  it.each(Object.entries(authorizations))("fails with UNAUTHENTICATED: %s", async (_name, authorization) => {
    const environment = { JWT_ISSUER: "the issuer", JWT_AUDIENCE: "the audience" };
    const client = userClient(await startTestServer({ environment }), null);
    const headers = { authorization: await authorization() };
    expect(await failureOf(client.getUser({ id: "x" }, { headers }))).toMatchObject(UNAUTHENTICATED);
  });

  it("fails alike for every kind of call", async () => {
    const client = userClient(await startTestServer(), null);
    expect(await failureOf(client.getUser({ id: "x" }))).toMatchObject(UNAUTHENTICATED);
    expect(await failureOf(collect(client.listUsers({})))).toMatchObject(UNAUTHENTICATED);
    expect(await failureOf(client.createUsers(streamOf(...newUsers(1))))).toMatchObject(UNAUTHENTICATED);
    expect(await failureOf(collect(client.chat(streamOf({ message: "hello" }))))).toMatchObject(UNAUTHENTICATED);
  });
});

describe("a caller who is known", () => {
  it("is accepted with the issuer and the audience asked for", async () => {
    const environment = { JWT_ISSUER: "the issuer", JWT_AUDIENCE: "the audience" };
    const client = userClient(await startTestServer({ environment }), null);
    const headers = { authorization: `Bearer ${await sign(valid)}` };
    expect(await failureOf(client.getUser({ id: "x" }, { headers }))).toMatchObject({ code: "NotFound" });
  });

  it("may have an id of 128 bytes", async () => {
    const client = userClient(await startTestServer(), { ...USER, id: "é".repeat(64) });
    expect(await failureOf(client.getUser({ id: "x" }))).toMatchObject({ code: "NotFound" });
  });

  it("is a user if the token names no role", async () => {
    const client = userClient(await startTestServer(), null);
    const headers = { authorization: `bearer ${await sign({ ...valid, role: undefined })}` };
    expect(await failureOf(client.getUser({ id: "x" }, { headers }))).toMatchObject({ code: "NotFound" });
    expect(await failureOf(collect(client.listUsers({}, { headers })))).toMatchObject({ code: "PermissionDenied" });
  });

  it("fails with PERMISSION_DENIED where the role is not allowed", async () => {
    const client = userClient(await startTestServer(), USER);
    const denied = {
      code: "PermissionDenied",
      message: "only an admin or a service may do this",
      reason: "CALLER_NOT_ALLOWED",
      domain: "user.v1",
    };
    expect(await failureOf(collect(client.listUsers({})))).toMatchObject(denied);
    expect(await failureOf(client.createUsers(streamOf(...newUsers(1))))).toMatchObject(denied);
  });

  it("is let in where the role is allowed", async () => {
    const server = await startTestServer();
    for (const principal of [ADMIN, SERVICE]) {
      const { createdCount } = await userClient(server, principal).createUsers(streamOf(...newUsers(1, principal.id)));
      expect(createdCount).toBe(1);
    }
    expect(await collect(userClient(server, USER).chat(streamOf({ message: "hello" })))).toHaveLength(1);
  });

  it("is known to the handler", async () => {
    let seen: Principal | undefined;
    const server = await startProbe({
      self: async (_request, context) => {
        seen = context.values.get(principalKey);
        return {};
      },
    });
    await probeClient(server, USER).self({ user: { id: "alice" } });
    expect(seen).toEqual(USER);
  });
});

describe("a caller who may be suspended", () => {
  const SUSPENDED = { code: "PermissionDenied", reason: "CALLER_SUSPENDED", domain: "user.v1" };

  /** A client of a server whose application says who is suspended. */
  async function startWith(isSuspended: Required<Application>["isSuspended"]) {
    const logger = pino({ enabled: false });
    const application = { ...userApplication(testConfig(), logger), isSuspended };
    const server = await startServer(testConfig(), logger, application);
    onTestFinished(() => server.stop());
    const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${server.port}` });
    const headers = { authorization: `Bearer ${await tokenFor(USER)}` };
    const client = createClient(UserService, transport);
    return { getUser: () => client.getUser({ id: "x" }, { headers }) };
  }

  it.each<[string, (answer: boolean) => boolean | Promise<boolean>]>([
    ["at once", (answer) => answer],
    ["later", async (answer) => answer],
  ])("is refused where the application says so %s, with a new token and a known one", async (_when, say) => {
    const asked: string[] = [];
    let suspended = true;
    const { getUser } = await startWith((id) => {
      asked.push(id);
      return say(suspended);
    });
    for (let time = 0; time < 2; time++) expect(await failureOf(getUser())).toMatchObject(SUSPENDED);
    suspended = false;
    for (let time = 0; time < 2; time++) expect(await failureOf(getUser())).toMatchObject({ code: "NotFound" });
    expect(asked).toEqual(Array(4).fill(USER.id));
  });

  it.each<[string, () => Promise<boolean>]>([
    [
      "at once",
      () => {
        throw new Error("the store is gone");
      },
    ],
    [
      "later",
      async () => {
        throw new Error("the store is gone");
      },
    ],
  ])("gets INTERNAL, and no reason, where the application fails %s", async (_when, fail) => {
    const { getUser } = await startWith(fail);
    for (let time = 0; time < 2; time++)
      expect(await failureOf(getUser())).toMatchObject({ code: "Internal", message: "internal error" });
  });
});

describe("a method for the user concerned and for admins", () => {
  const denied = { code: "PermissionDenied", message: "only the user concerned or an admin may do this" };

  it("lets in the user whom the request names", async () => {
    const client = probeClient(await startProbe(), USER);
    await expect(client.self({ user: { id: "alice" } })).resolves.toMatchObject({ text: "alice" });
    await expect(client.selfStream(streamOf({ user: { id: "alice" } }))).resolves.toMatchObject({ text: "alice" });
  });

  it("refuses everybody else", async () => {
    const server = await startProbe();
    for (const principal of [USER, SERVICE]) {
      const client = probeClient(server, principal);
      expect(await failureOf(client.self({ user: { id: "bob" } }))).toMatchObject(denied);
      expect(await failureOf(client.self({}))).toMatchObject(denied);
      expect(await failureOf(client.selfStream(streamOf({ user: { id: "bob" } })))).toMatchObject(denied);
      expect(await failureOf(client.selfStream(streamOf()))).toMatchObject(denied);
    }
  });

  it("refuses a stream whose first message names another, whomever the next one names", async () => {
    const client = probeClient(await startProbe(), USER);
    const requests = streamOf({ user: { id: "bob" } }, { user: { id: "alice" } });
    expect(await failureOf(client.selfStream(requests))).toMatchObject(denied);
  });

  it("lets in an admin, whoever is named", async () => {
    const client = probeClient(await startProbe(), ADMIN);
    await expect(client.self({ user: { id: "bob" } })).resolves.toMatchObject({ text: "bob" });
  });
});

describe("a public method", () => {
  it("asks nobody, and does not mind a bad token", async () => {
    const client = probeClient(await startProbe());
    await expect(client.public({ text: "hello" })).resolves.toMatchObject({ text: "hello" });
    const headers = { authorization: "Bearer sesame" };
    await expect(client.public({ text: "hello" }, { headers })).resolves.toMatchObject({ text: "hello" });
  });
});

describe("with AUTH=none", () => {
  it("everybody acts as an admin", async () => {
    const client = userClient(await startTestServer({ environment: { AUTH: "none" } }), null);
    expect((await client.createUsers(streamOf(...newUsers(1)))).createdCount).toBe(1);
  });
});
