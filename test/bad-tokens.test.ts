import { createHmac } from "node:crypto";
import { constants } from "node:http2";
import { connect } from "node:net";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { UserService } from "../src/gen/user/v1/user_service_pb.ts";
import { fileOf } from "./support/files.ts";
import { goodClaims, makeTokenKey, startIssuer, type TokenKey } from "./support/issuer.ts";
import { frame, openRequest } from "./support/raw-http2.ts";
import {
  ADMIN,
  collect,
  JWT_SECRET,
  startTestServer,
  type TestServer,
  tokenFor,
  transportTo,
} from "./support/server.ts";

const ISSUER = "https://issuer.example";
const AUDIENCE = "user-service";
const CLAIMS = { iss: ISSUER, aud: AUDIENCE };

/** A way to configure keys, and what somebody without the right one can know. */
interface Kind {
  /** Starts a server that believes tokens of the key. */
  start(): Promise<TestServer>;
  readonly key: TokenKey;
  /** What is public of the key, with which an attacker may sign as if it were a secret. */
  readonly publicText: string;
}

const es256 = await makeTokenKey("ES256", "the key");
const stranger = await makeTokenKey("ES256", "the key");

const secret: TokenKey = {
  alg: "HS256",
  kid: "the key",
  jwk: {},
  pem: "",
  sign: async (claims, header) => hmac({ alg: "HS256", ...header }, claims, JWT_SECRET),
};

function startWith(environment: Record<string, string>): Promise<TestServer> {
  return startTestServer({
    environment: { JWT_ISSUER: ISSUER, JWT_AUDIENCE: AUDIENCE, ...environment },
  });
}

/** A kind for each setting, and for each type of key. */
const KINDS: Record<string, () => Promise<Kind>> = {
  "a secret": async () => ({ start: () => startWith({}), key: secret, publicText: es256.pem }),
  ...Object.fromEntries(
    ["RS256", "PS256", "ES256", "EdDSA"].map((alg) => [
      `a public key for ${alg}`,
      async () => {
        const key = await makeTokenKey(alg, "the key");
        const start = () => startWith({ JWT_SECRET: "", JWT_PUBLIC_KEY_FILE: fileOf(key.pem) });
        return { start, key, publicText: key.pem };
      },
    ]),
  ),
  "a JWKS": async () => ({
    async start() {
      return startWith({ JWT_SECRET: "", JWT_JWKS_URL: (await startIssuer(es256)).url });
    },
    key: es256,
    publicText: JSON.stringify(es256.jwk),
  }),
};

function encode(part: unknown): string {
  return Buffer.from(typeof part === "string" ? part : JSON.stringify(part)).toString("base64url");
}

/** A token of parts that need not fit together. */
function raw(header: unknown, claims: unknown, signature = ""): string {
  return `${encode(header)}.${encode(claims)}.${signature}`;
}

function hmac(header: unknown, claims: unknown, key: string): string {
  const input = `${encode(header)}.${encode(claims)}`;
  return `${input}.${createHmac("sha256", key).update(input).digest("base64url")}`;
}

/** Authorizations that must not be believed. */
async function badAuthorizations({ key, publicText }: Kind): Promise<Record<string, string>> {
  const seconds = Math.floor(Date.now() / 1000);
  const good = goodClaims(CLAIMS);
  const signed = (claims: object, header = {}) => key.sign({ ...good, ...claims }, header);
  const valid = await signed({});
  const [header = "", payload = "", signature = ""] = valid.split(".");
  const tokens = {
    "alg none": raw({ alg: "none" }, good),
    "alg None": raw({ alg: "None", kid: key.kid }, good),
    "alg none with a signature": raw({ alg: "none", kid: key.kid }, good, signature),
    "no alg": raw({ kid: key.kid }, good, signature),
    "an alg that is no text": raw({ alg: ["HS256"], kid: key.kid }, good, signature),
    "an alg of the prototype": raw({ alg: "constructor", kid: key.kid }, good, signature),
    "the public key as a secret": hmac({ alg: "HS256", kid: key.kid }, good, publicText),
    "the public key as a secret, without its line break": hmac({ alg: "HS256" }, good, publicText.trim()),
    "an empty secret": hmac({ alg: "HS256", kid: key.kid }, good, ""),
    "the key of a stranger": await stranger.sign(good),
    "the key of a stranger, brought along": await stranger.sign(good, { jwk: stranger.jwk }),
    "a URL of keys, brought along": await stranger.sign(good, { jku: "http://127.0.0.1:1/keys" }),
    "a URL of a certificate, brought along": await stranger.sign(good, { x5u: "http://127.0.0.1:1/cert" }),
    "a certificate, brought along": await stranger.sign(good, { x5c: ["MIIB"] }),
    "a kid that is a path": await stranger.sign(good, { kid: "../../../../dev/null" }),
    "a kid that is SQL": await stranger.sign(good, { kid: "' UNION SELECT 'key' -- " }),
    "a kid that is a command": await stranger.sign(good, { kid: "key; cat /etc/passwd |" }),
    "a kid of the prototype": await stranger.sign(good, { kid: "__proto__" }),
    "a huge kid": await stranger.sign(good, { kid: "x".repeat(4000) }),
    "a kid that is no text": raw({ alg: key.alg, kid: { key: 1 } }, good, signature),
    "an unknown critical header": raw({ alg: key.alg, kid: key.kid, crit: ["x"], x: 1 }, good, signature),
    "an empty list of critical headers": raw({ alg: key.alg, kid: key.kid, crit: [] }, good, signature),
    "an unencoded payload": raw({ alg: key.alg, kid: key.kid, b64: false, crit: ["b64"] }, good, signature),
    "an exp that has passed": await signed({ exp: seconds - 6 }),
    "no exp": await signed({ exp: undefined }),
    "an exp that is text": await signed({ exp: String(seconds + 600) }),
    "an exp that is null": await signed({ exp: null }),
    "an nbf to come": await signed({ nbf: seconds + 60 }),
    "an nbf that is text": await signed({ nbf: "now" }),
    "no sub": await signed({ sub: undefined }),
    "an empty sub": await signed({ sub: "" }),
    "a sub that is a number": await signed({ sub: 5 }),
    "a sub that is a list": await signed({ sub: ["alice"] }),
    "a long sub": await signed({ sub: "x".repeat(129) }),
    "a sub with U+0000": await signed({ sub: "a\0b" }),
    "an unknown role": await signed({ role: "root" }),
    "a list of roles": await signed({ role: ["admin"] }),
    "a role that is null": await signed({ role: null }),
    "another issuer": await signed({ iss: "https://another.example" }),
    "no issuer": await signed({ iss: undefined }),
    "another audience": await signed({ aud: "another" }),
    "other audiences": await signed({ aud: ["another", "one more"] }),
    "no audience": await signed({ aud: undefined }),
    "a changed payload": `${header}.${encode({ ...good, sub: "root" })}.${signature}`,
    "a cut signature": valid.slice(0, -8),
    "no signature": `${header}.${payload}.`,
    "two parts": `${header}.${payload}`,
    "four parts": `${valid}.${signature}`,
    "a JWE": `${encode({ alg: "dir", enc: "A256GCM" })}..${"A".repeat(16)}.${"A".repeat(32)}.${"A".repeat(22)}`,
    "a payload that is a list": raw({ alg: key.alg, kid: key.kid }, [], signature),
    "a header that is no JSON": raw("{", good, signature),
    "no base64": `${header}.${payload}.${"+/".repeat(20)}`,
    "a token of 10 KB": await signed({ padding: "x".repeat(10_000) }),
    "no JWT": "sesame",
  };
  const bearers = Object.entries(tokens).map(([name, token]) => [name, `Bearer ${token}`]);
  return {
    ...Object.fromEntries(bearers),
    "an empty value": "",
    "no token": "Bearer ",
    "no scheme": valid,
    "another scheme": `Basic ${valid}`,
    "a word before the token": `Bearer token ${valid}`,
    "two tokens": `Bearer ${valid} ${valid}`,
    "two tokens, joined as HTTP joins headers": `Bearer ${valid}, Bearer ${valid}`,
    "no space": `Bearer${valid}`,
    "two spaces": `Bearer  ${valid}`,
    "a tab": `Bearer\t${valid}`,
  };
}

/** All that a client is told. */
function told(error: unknown): object {
  const { code, rawMessage, metadata } = ConnectError.from(error);
  return { code, rawMessage, details: metadata.get("grpc-status-details-bin") };
}

async function failure(call: Promise<unknown>): Promise<object> {
  return call.then(() => ({ code: "OK" }), told);
}

describe.each(Object.entries(KINDS))("where the key is %s", (_kind, make) => {
  let kind: Kind;
  beforeAll(async () => {
    kind = await make();
  });

  it("refuses every bad token with the same words, whatever the kind of call", async () => {
    const server = await kind.start();
    const client = createClient(UserService, transportTo(server, null));
    const nothing = await failure(client.getUser({ id: "x" }));
    expect(nothing).toMatchObject({ code: Code.Unauthenticated, rawMessage: "a valid bearer token is required" });
    const authorizations = Object.entries(await badAuthorizations(kind));
    const expected = Object.fromEntries(authorizations.map(([name]) => [name, nothing]));

    const refusals = (call: (headers: { authorization: string }) => Promise<unknown>) =>
      Promise.all(
        authorizations.map(async ([name, authorization]) => [name, await failure(call({ authorization }))] as const),
      ).then(Object.fromEntries);
    expect(await refusals((headers) => client.getUser({ id: "x" }, { headers }))).toEqual(expected);
    expect(await refusals((headers) => collect(client.listUsers({}, { headers })))).toEqual(expected);
    // Nothing is wrong with the server.
    expect(server.logs.lines.filter(({ level }) => level === "error")).toEqual([]);
  });

  it("believes a good token, with an issuer's clock a little ahead or behind", async () => {
    const client = createClient(UserService, transportTo(await kind.start(), null));
    const seconds = Math.floor(Date.now() / 1000);
    for (const claims of [{}, { nbf: seconds + 3 }, { exp: seconds - 2 }, { aud: ["another", AUDIENCE] }]) {
      const token = await kind.key.sign(goodClaims({ ...CLAIMS, ...claims }));
      const headers = { authorization: `bearer ${token}` };
      expect(await failure(client.getUser({ id: "x" }, { headers }))).toMatchObject({ code: Code.NotFound });
    }
  });
});

describe("an authorization", () => {
  const PATH = "/user.v1.UserService/GetUser";

  it.each([
    { size: "20 KB", token: "x".repeat(20_000) },
    { size: "60 KB, whatever the limit of headers", token: "x".repeat(60_000), MAX_HEADER_LIST_SIZE: "0" },
    // HPACK needs five bits for each of them, seven for an x.
    { size: "100 KB", token: "a".repeat(100_000) },
  ])("of $size is refused like all bad ones", async ({ token, MAX_HEADER_LIST_SIZE = "16384" }) => {
    const server = await startTestServer({ environment: { MAX_HEADER_LIST_SIZE } });
    const refusal = async (authorization: string) => {
      const { stream, response } = openRequest(server.port, PATH, { authorization });
      stream.end(frame(Buffer.alloc(0)));
      const { trailers } = await response;
      return ["grpc-status", "grpc-message", "grpc-status-details-bin"].map((name) => trailers[name]);
    };
    const refused = await refusal(`Bearer ${token}`);
    expect(refused).toEqual(await refusal("Bearer x"));
    expect(refused[0]).toBe("16");
  });

  it("of more than 64 KiB, as HPACK writes it, gets as far as HTTP/2, which ends the connection", async () => {
    const server = await startTestServer();
    const { response } = openRequest(server.port, PATH, { authorization: `Bearer ${"x".repeat(100_000)}` });
    await expect(response).rejects.toThrow(`error code ${constants.NGHTTP2_COMPRESSION_ERROR}`);
    expect(server.logs.lines).toEqual([]);
  });

  it.each([
    ["bad and good", ["Bearer sesame", "good"]],
    ["good and bad", ["good", "Bearer sesame"]],
    ["good both times", ["good", "good"]],
    ["good and empty", ["good", ""]],
    ["too long for the headers and good", [`Bearer ${"x".repeat(9900)}`, "good"]],
  ])("that comes twice in one request is refused: %s", async (_which, values) => {
    const server = await startTestServer({ environment: { MAX_HEADER_LIST_SIZE: "10000" } });
    const good = `Bearer ${await tokenFor(ADMIN)}`;
    const headers = values.map((value): [string, string] => ["authorization", value === "good" ? good : value]);
    await sendRaw(server.port, PATH, headers);
    expect(await server.logs.waitForCalls(1)).toMatchObject([{ code: "UNAUTHENTICATED" }]);
  });
});

describe("a request made by hand", () => {
  it("is served with one authorization, whatever its other headers repeat or say", async () => {
    const server = await startTestServer();
    const repeated: [string, string][] = [
      ["x-header", "authorization"],
      ["x-header", "authorization"],
    ];
    await sendRaw(server.port, "/user.v1.UserService/GetUser", [
      ["authorization", `Bearer ${await tokenFor(ADMIN)}`],
      ...repeated,
    ]);
    expect(await server.logs.waitForCalls(1)).toMatchObject([{ code: "NOT_FOUND" }]);
  });
});

/** Sends a request with headers that node:http2 would not send. */
async function sendRaw(port: number, path: string, headers: readonly [string, string][]): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  const all: [string, string][] = [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "localhost"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
    ...headers,
  ];
  const id = 1;
  const [settings, endHeaders, endStream] = [0, 4, 1];
  socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  socket.write(http2Frame(4, settings, 0, Buffer.alloc(0)));
  socket.write(http2Frame(1, endHeaders, id, Buffer.concat(all.map(literal))));
  // A GetUserRequest whose id is "x".
  socket.write(http2Frame(0, endStream, id, frame(Buffer.from([10, 1, 120]))));
  socket.resume();
}

function http2Frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header as HPACK writes it without any table (RFC 7541, 6.2.2). */
function literal([name, value]: [string, string]): Buffer {
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}

function text(value: string): Buffer {
  const length: number[] = [];
  let rest = value.length - 127;
  if (rest < 0) length.push(value.length);
  else {
    length.push(127);
    for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), Buffer.from(value)]);
}
