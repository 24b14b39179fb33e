import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type ClientCredentials, clientCredentials } from "../../src/client/oauth.ts";
import { publishedClient } from "../support/client.ts";
import { failureOf } from "../support/errors.ts";
import { ADMIN, startTestServer, tokenFor } from "../support/server.ts";

interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** What it waits for. */
  readonly after?: Promise<unknown>;
  readonly body?: object;
}

/** An authorization server that gives answers in turn, the last of them ever after, and keeps what it is asked. */
async function startIssuer(...answers: Answer[]) {
  const asked: { readonly authorization: string | undefined; readonly form: string }[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    void text(request).then(async (form) => {
      asked.push({ authorization: request.headers.authorization, form });
      const { status = 200, body = {}, headers, after } = (answers.length > 1 ? answers.shift() : answers[0]) ?? {};
      await after;
      response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const options: ClientCredentials = {
    tokenEndpoint: `http://127.0.0.1:${port}/token`,
    clientId: "billing",
    clientSecret: "s3cret & more",
  };
  return { asked, options };
}

const token = (name: string, expiresIn?: number) => ({
  body: { access_token: name, token_type: "Bearer", ...(expiresIn !== undefined && { expires_in: expiresIn }) },
});

/** Lets time pass for tokens only. */
function atTime(ms: number): void {
  vi.spyOn(Date, "now").mockReturnValue(ms);
  onTestFinished(() => void vi.restoreAllMocks());
}

describe("clientCredentials", () => {
  it("gets a token with which calls are made", async () => {
    const { options } = await startIssuer(token(await tokenFor(ADMIN), 600));
    const client = publishedClient(await startTestServer(), { token: clientCredentials(options) });
    expect(await failureOf(client.getUser({ id: "nobody" }))).toMatchObject({ code: "NotFound" });
  });

  it("says who it is, and what for", async () => {
    const { asked, options } = await startIssuer(token("a", 600));
    await clientCredentials({ ...options, scope: "users:read", audience: "users" })();
    await clientCredentials({ ...options, authentication: "post" })();
    expect(asked[0]).toMatchObject({
      authorization: `Basic ${Buffer.from("billing:s3cret+%26+more").toString("base64")}`,
      form: "scope=users%3Aread&audience=users&grant_type=client_credentials",
    });
    expect(asked[1]?.authorization).toBeUndefined();
    expect(new URLSearchParams(asked[1]?.form).get("client_secret")).toBe("s3cret & more");
  });

  it("asks once, however many calls wait, and again shortly before the token expires", async () => {
    const { asked, options } = await startIssuer(token("first", 600), token("second", 600));
    const provide = clientCredentials(options);
    atTime(1_000_000);
    expect(await Promise.all([provide(), provide(), provide()])).toEqual(["first", "first", "first"]);
    atTime(1_000_000 + 539_000);
    expect(await provide()).toBe("first");
    atTime(1_000_000 + 541_000);
    expect(await Promise.all([provide(), provide()])).toEqual(["first", "first"]);
    await expect.poll(provide).toBe("second");
    expect(asked).toHaveLength(2);
  });

  it("keeps no call waiting while there is a token that is good", async () => {
    const answered = Promise.withResolvers<void>();
    const { options } = await startIssuer(token("first", 600), { ...token("second", 600), after: answered.promise });
    const provide = clientCredentials(options);
    atTime(1_000_000);
    await provide();
    atTime(1_000_000 + 541_000);
    expect(await provide()).toBe("first");
    answered.resolve();
    await expect.poll(provide).toBe("second");
  });

  it("goes on with a token that is good while there is no other, and no longer, and asks now and then", async () => {
    const { asked, options } = await startIssuer(token("first", 600), { status: 503 });
    const provide = clientCredentials(options);
    atTime(1_000_000);
    await provide();
    for (const ms of [596_000, 596_100, 599_000]) {
      atTime(1_000_000 + ms);
      expect(await provide()).toBe("first");
    }
    expect(asked).toHaveLength(2);
    atTime(1_000_000 + 600_000);
    expect(await failureOf(provide())).toMatchObject({ code: "Unavailable" });
  });

  it("keeps a token that does not say for how long it is good, for less than a minute", async () => {
    const { options } = await startIssuer(token("first"), token("second"));
    const provide = clientCredentials(options);
    atTime(1_000_000);
    await provide();
    atTime(1_000_000 + 53_000);
    expect(await provide()).toBe("first");
    atTime(1_000_000 + 55_000);
    await expect.poll(provide).toBe("second");
  });

  it.each([
    ["UNAUTHENTICATED if it is refused", { status: 401, body: { error: "invalid_client" } }, "Unauthenticated"],
    [
      "UNAUTHENTICATED if it is refused with a challenge, as RFC 6749 wants it (5.2)",
      { status: 401, body: { error: "invalid_client" }, headers: { "www-authenticate": 'Basic realm="tokens"' } },
      "Unauthenticated",
    ],
    ["UNAVAILABLE if the server is out of order", { status: 500 }, "Unavailable"],
    ["UNAVAILABLE if it is asked too often", { status: 429, body: { error: "slow_down" } }, "Unavailable"],
    ["UNAVAILABLE if what comes is no token", { body: { hello: "world" } }, "Unavailable"],
  ])("fails with %s", async (_, answer, code) => {
    const { options } = await startIssuer(answer);
    const provide = clientCredentials(options);
    const failure = await failureOf(provide());
    expect(failure.code).toBe(code);
    expect(failure.message).not.toContain("s3cret");
    const client = publishedClient(await startTestServer(), { token: provide });
    expect(await failureOf(client.getUser({ id: "nobody" }))).toMatchObject({ code });
  });

  it("asks again after a failure", async () => {
    const { options } = await startIssuer({ status: 500 }, token("first", 600));
    const provide = clientCredentials(options);
    await failureOf(provide());
    expect(await provide()).toBe("first");
  });

  it.each([
    [
      "sends the secret over HTTPS only, but on this machine",
      "http://issuer.example.com/token",
      "must be one of HTTPS",
    ],
    ["wants a URL", "issuer.example.com/token", "Invalid URL"],
  ])("%s", (_, tokenEndpoint, message) => {
    expect(() => clientCredentials({ tokenEndpoint, clientId: "a", clientSecret: "b" })).toThrow(message);
  });
});
