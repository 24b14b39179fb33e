import { ConnectError, createClient } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { RetryInfoSchema } from "../src/gen/google/rpc/error_details_pb.ts";
import { UserService } from "../src/gen/user/v1/user_service_pb.ts";
import { failureOf, toFailure } from "./support/errors.ts";
import { broken, goodClaims, type Issuer, makeTokenKey, startIssuer, type TokenKey } from "./support/issuer.ts";
import { startTestServer, type TestServer, transportTo } from "./support/server.ts";

const one = await makeTokenKey("ES256", "one");
const two = await makeTokenKey("RS256", "two");

function startWith({ url }: Issuer): Promise<TestServer> {
  return startTestServer({ environment: { JWT_SECRET: "", JWT_JWKS_URL: url } });
}

/** Calls with a token of its own. */
async function call(server: TestServer, key: TokenKey, id = "alice"): Promise<string> {
  const headers = { authorization: `Bearer ${await key.sign(goodClaims({ sub: id }))}` };
  const { code } = await failureOf(
    createClient(UserService, transportTo(server, null)).getUser({ id: "x" }, { headers }),
  );
  return code;
}

describe("a server whose issuer publishes its keys", () => {
  it("serves those who have a token of one of them", async () => {
    const server = await startWith(await startIssuer(one, two));
    expect(await Promise.all([call(server, one), call(server, two)])).toEqual(["NotFound", "NotFound"]);
  });

  it("asks the issuer once, however many tokens it is shown", async () => {
    const issuer = await startIssuer(one);
    const server = await startWith(issuer);
    const unknown = Array.from({ length: 20 }, (_, index) =>
      call(server, { ...two, sign: withKid(two, `made up ${index}`) }),
    );
    expect(new Set(await Promise.all(unknown))).toEqual(new Set(["Unauthenticated"]));
    expect(await call(server, one)).toBe("NotFound");
    expect(issuer.fetches).toBe(1);
  });

  it("starts while the issuer is away, and says that it cannot tell, and when to ask again", async () => {
    const issuer = await startIssuer(one);
    issuer.answer = broken;
    const server = await startWith(issuer);
    const headers = { authorization: `Bearer ${await one.sign(goodClaims())}` };
    const client = createClient(UserService, transportTo(server, null));
    const error = ConnectError.from(await client.getUser({ id: "x" }, { headers }).catch((reason: unknown) => reason));
    expect(toFailure(error)).toMatchObject({
      code: "Unavailable",
      reason: "TOKEN_KEYS_UNAVAILABLE",
      domain: "user.v1",
      message: "the token cannot be verified now",
    });
    expect(error.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 5n } }]);
    // What is no token needs no key to be refused.
    expect(await failureOf(client.getUser({ id: "x" }))).toMatchObject({ code: "Unauthenticated" });

    const lines = server.logs.lines.filter(({ level }) => level === "error");
    expect(lines).toMatchObject([{ msg: "keys of tokens not available" }]);
  });

  it("says at the start that it believes tokens for anybody, unless an audience is set", async () => {
    const issuer = await startIssuer(one);
    const warnings = ({ logs }: TestServer) => logs.lines.filter(({ level }) => level === "warn");
    expect(warnings(await startWith(issuer))).toMatchObject([{ msg: expect.stringContaining("JWT_AUDIENCE") }]);
    const environment = { JWT_SECRET: "", JWT_JWKS_URL: issuer.url, JWT_AUDIENCE: "us" };
    expect(warnings(await startTestServer({ environment }))).toEqual([]);
  });
});

function withKid(key: TokenKey, kid: string): TokenKey["sign"] {
  return (claims) => key.sign(claims, { kid });
}
