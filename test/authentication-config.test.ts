import { beforeAll, describe, expect, it } from "vitest";
import type { TokenConfig } from "../src/authentication-config.ts";
import { ConfigError, parseConfig } from "../src/config.ts";
import { CertificateAuthority } from "./support/certificates.ts";
import { fileOf } from "./support/files.ts";
import { makeTokenKey, type TokenKey } from "./support/issuer.ts";

const JWT_SECRET = "correct horse battery staple 1234";
const NODE_ENV = "production";

let key: TokenKey;
let authority: CertificateAuthority;
beforeAll(async () => {
  [key, authority] = await Promise.all([makeTokenKey(), CertificateAuthority.create()]);
});

type Environment = Record<string, string>;

function faultsOf(environment: Environment): readonly string[] {
  try {
    parseConfig(environment, []);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

function tokensOf(environment: Environment): TokenConfig | undefined {
  return parseConfig(environment, []).authentication?.tokens;
}

/** Settings with which clients need certificates. */
async function mtls(): Promise<Environment> {
  const { cert, key } = await authority.server();
  return {
    TLS_CERT_FILE: fileOf(cert),
    TLS_KEY_FILE: fileOf(key),
    TLS_CLIENT_CA_FILE: fileOf(authority.root),
  };
}

describe("the keys of tokens", () => {
  it("are those of a file, also in production", () => {
    const tokens = tokensOf({ NODE_ENV, JWT_PUBLIC_KEY_FILE: fileOf(key.pem), JWT_ISSUER: "an issuer" });
    expect(tokens).toMatchObject({ source: { kind: "public", keys: [{ kty: "EC" }] }, ephemeral: false });
    expect(tokens?.issuer).toBe("an issuer");
  });

  it.each([
    "https://issuer.example/keys",
    "http://localhost:8080/keys",
    "http://127.0.0.1/",
    "http://127.1.2.3/",
    "http://[::1]:1/",
  ])("are published at %s, also in production", (url) => {
    const { source, ephemeral } = tokensOf({ NODE_ENV, JWT_JWKS_URL: url }) ?? {};
    expect([source?.kind === "remote" && source.url.href, ephemeral]).toEqual([url, false]);
  });

  it.each(["http://issuer.example/keys", "http://10.0.0.1/", "http://localhost.example/", "http://127.0.0.1.example/"])(
    "are not taken from %s, which others could pretend to be, unless ALLOW_INSECURE says so",
    (url) => {
      expect(faultsOf({ JWT_JWKS_URL: url })).toEqual([
        `JWT_JWKS_URL="${url}": must be https, unless its host is this one or ALLOW_INSECURE=true`,
      ]);
      expect(faultsOf({ JWT_JWKS_URL: url, ALLOW_INSECURE: "true" })).toEqual([]);
    },
  );

  it.each(["keys.json", "file:///keys.json", "ftp://issuer.example/keys", "https://user:secret@issuer.example/keys"])(
    "are not taken from %s",
    (url) => {
      expect(faultsOf({ NODE_ENV, JWT_JWKS_URL: url })).toEqual([
        `JWT_JWKS_URL=${JSON.stringify(url)}: must be an https URL without a password, or http to this host`,
      ]);
    },
  );

  it("are not taken from a file that holds none, or that is not there", () => {
    const path = fileOf("-----BEGIN PRIVATE KEY-----");
    expect(faultsOf({ NODE_ENV, JWT_PUBLIC_KEY_FILE: path })).toEqual([
      `JWT_PUBLIC_KEY_FILE="${path}": must hold no private key`,
    ]);
    expect(faultsOf({ JWT_PUBLIC_KEY_FILE: "/nowhere" })).toEqual([
      'JWT_PUBLIC_KEY_FILE="/nowhere": must be a readable file (ENOENT)',
    ]);
  });

  it("come from one place only", () => {
    const [file, url] = [fileOf(key.pem), "https://issuer.example/keys"];
    expect(faultsOf({ JWT_SECRET, JWT_JWKS_URL: url })).toEqual(["JWT_JWKS_URL: must not be set beside JWT_SECRET"]);
    expect(faultsOf({ JWT_SECRET, JWT_PUBLIC_KEY_FILE: file })).toEqual([
      "JWT_PUBLIC_KEY_FILE: must not be set beside JWT_SECRET",
    ]);
    expect(faultsOf({ JWT_PUBLIC_KEY_FILE: file, JWT_JWKS_URL: url })).toEqual([
      "JWT_JWKS_URL: must not be set beside JWT_PUBLIC_KEY_FILE",
    ]);
  });

  it("can be missing in production where client certificates prove services", async () => {
    const environment = { ...(await mtls()), TLS_CLIENT_IDENTITIES: "DNS:a.example=a" };
    expect(parseConfig({ NODE_ENV, ...environment }, []).authentication).toEqual({
      tokens: undefined,
      services: new Map([["DNS:a.example", "a"]]),
    });
    expect(tokensOf(environment)).toMatchObject({ ephemeral: true });
    expect(faultsOf({ NODE_ENV, ...(await mtls()) })).toHaveLength(1);
  });
});

describe("the services that certificates stand for", () => {
  it("are listed by alternative names", async () => {
    const TLS_CLIENT_IDENTITIES =
      "URI:spiffe://example.org/a?b=c=importer ,DNS:Billing.Internal=billing-2,DNS:c=billing-2";
    expect(parseConfig({ ...(await mtls()), TLS_CLIENT_IDENTITIES }, []).authentication?.services).toEqual(
      new Map([
        ["URI:spiffe://example.org/a?b=c", "importer"],
        ["DNS:billing.internal", "billing-2"],
        ["DNS:c", "billing-2"],
      ]),
    );
  });

  it.each([
    "importer",
    "spiffe://example.org/importer=importer",
    "CN:importer=importer",
    "DNS:=importer",
    "DNS:a=",
    "DNS:a=b c",
    'DNS:"a"=b',
    "DNS:a=b,",
    "DNS:a=b, DNS:A=c",
  ])("are not listed as %j", async (TLS_CLIENT_IDENTITIES) => {
    expect(faultsOf({ ...(await mtls()), TLS_CLIENT_IDENTITIES })).toEqual([
      `TLS_CLIENT_IDENTITIES=${JSON.stringify(TLS_CLIENT_IDENTITIES)}: must be a list such as ` +
        "URI:spiffe://example.org/importer=importer, DNS:billing.internal=billing",
    ]);
  });

  it("cannot be told where no client shows a certificate", () => {
    expect(faultsOf({ TLS_CLIENT_IDENTITIES: "DNS:a.example=a" })).toEqual([
      "TLS_CLIENT_IDENTITIES: must be set with TLS_CLIENT_CA_FILE only",
    ]);
  });
});
