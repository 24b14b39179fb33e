import { createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import type { JsonGeneralName } from "@peculiar/x509";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { readAltNames } from "../../src/interceptors/certificate-identity.ts";
import { CertificateAuthority, type CertificatePair, uriName } from "../support/certificates.ts";
import { failureOf } from "../support/errors.ts";
import { fileOf } from "../support/files.ts";
import { collect, newUsers, startTestServer, streamOf, type TestServer, tokenFor } from "../support/server.ts";

const IMPORTER = "spiffe://example.org/importer";
const IDENTITIES = `URI:${IMPORTER}=importer, DNS:Billing.internal=billing, DNS:ledger.internal=billing`;
const UNAUTHENTICATED = {
  code: "Unauthenticated",
  reason: "TOKEN_INVALID",
  message: "a valid bearer token is required",
};

let authority: CertificateAuthority;
let server: CertificatePair;
let importer: CertificatePair;

beforeAll(async () => {
  authority = await CertificateAuthority.create();
  [server, importer] = await Promise.all([
    authority.server(),
    authority.client({ alternativeNames: [uriName(IMPORTER)] }),
  ]);
});

function startMtls(environment: Record<string, string> = {}): Promise<TestServer> {
  return startTestServer({
    environment: {
      TLS_CERT_FILE: fileOf(server.cert),
      TLS_KEY_FILE: fileOf(server.key),
      TLS_CLIENT_CA_FILE: fileOf(authority.root),
      TLS_CLIENT_IDENTITIES: IDENTITIES,
      ...environment,
    },
  });
}

/** A client with a certificate, and with an authorization if one is given. */
function clientWith({ port }: TestServer, { cert, key }: CertificatePair, authorization?: string) {
  const authorize: Interceptor = (next) => (request) => {
    if (authorization !== undefined) request.header.set("authorization", authorization);
    return next(request);
  };
  const transport = createGrpcTransport({
    baseUrl: `https://localhost:${port}`,
    nodeOptions: { ca: authority.root, cert, key },
    interceptors: [authorize],
  });
  return createClient(UserService, transport);
}

function certificateFor(...alternativeNames: JsonGeneralName[]): Promise<CertificatePair> {
  return authority.client({ name: "importer", alternativeNames });
}

describe("a client certificate", () => {
  it("proves a service, of each kind of call", async () => {
    const client = clientWith(await startMtls(), importer);
    expect((await client.createUsers(streamOf(...newUsers(2)))).createdCount).toBe(2);
    expect(await collect(client.listUsers({}))).toHaveLength(2);
    const { users } = await client.listUsersPage({});
    const id = users[0]?.id ?? "";
    expect((await client.getUser({ id })).user?.id).toBe(id);
    // A service is not the user, whatever its name.
    expect(await failureOf(client.deleteUser({ id }))).toMatchObject({ code: "PermissionDenied" });
  });

  it("proves by its DNS name too, whatever the case", async () => {
    const certificate = await certificateFor({ type: "dns", value: "BILLING.internal" });
    expect((await clientWith(await startMtls(), certificate).listUsersPage({})).users).toEqual([]);
  });

  it("proves a service by two names of its own", async () => {
    const names = ["billing.internal", "ledger.internal"].map((value) => ({ type: "dns", value }) as const);
    expect((await clientWith(await startMtls(), await certificateFor(...names)).listUsersPage({})).users).toEqual([]);
  });

  it.each<[string, JsonGeneralName[]]>([
    ["with no alternative name, whatever its common name", []],
    ["with another URI", [uriName("spiffe://example.org/exporter")]],
    ["with a longer URI", [uriName(`${IMPORTER}/2`)]],
    ["with the URI in other letters", [uriName("spiffe://example.org/Importer")]],
    ["with the URI as another kind of name", [{ type: "email", value: IMPORTER }]],
    ["with a wildcard", [{ type: "dns", value: "*.internal" }]],
    ["with a longer host", [{ type: "dns", value: "billing.internal.example.com" }]],
    ["of two services", [uriName(IMPORTER), { type: "dns", value: "billing.internal" }]],
    ["with the name inside another name", [uriName(`https://example.org/, URI:${IMPORTER}`)]],
    ["with the name inside a quoted name", [uriName(`https://example.org/", URI:${IMPORTER}, DNS:"`)]],
    ["with the name after a U+0000", [{ type: "dns", value: "billing.internal\0.example.com" }]],
  ])("proves nothing %s", async (_what, names) => {
    const client = clientWith(await startMtls(), await certificateFor(...names));
    expect(await failureOf(client.listUsersPage({}))).toMatchObject(UNAUTHENTICATED);
  });

  it("proves nothing beside a token, good or bad", async () => {
    const server = await startMtls();
    const user = `Bearer ${await tokenFor({ id: "alice", role: "user" })}`;
    expect(await failureOf(clientWith(server, importer, user).listUsersPage({}))).toMatchObject({
      code: "PermissionDenied",
    });
    for (const bad of ["Bearer sesame", "Basic x", ""])
      expect(await failureOf(clientWith(server, importer, bad).listUsersPage({}))).toMatchObject(UNAUTHENTICATED);
  });

  it("proves nothing once it has expired, on a connection that goes on", async () => {
    const notAfter = new Date(Date.now() + 3_600_000);
    const server = await startMtls();
    const client = clientWith(server, await authority.client({ alternativeNames: [uriName(IMPORTER)], notAfter }));
    await client.listUsersPage({});
    vi.useFakeTimers({ toFake: ["Date"], now: notAfter.getTime() + 1000 });
    const failure = await failureOf(client.listUsersPage({})).finally(() => vi.useRealTimers());
    expect(failure).toMatchObject(UNAUTHENTICATED);
  });

  it("is enough in production, where no token is believed then", async () => {
    const server = await startMtls({ NODE_ENV: "production", JWT_SECRET: "" });
    await expect(clientWith(server, importer).listUsersPage({})).resolves.toBeDefined();
    const token = `Bearer ${await tokenFor({ id: "alice", role: "admin" })}`;
    expect(await failureOf(clientWith(server, importer, token).listUsersPage({}))).toMatchObject(UNAUTHENTICATED);
  });

  it("only admits the connection where no service is configured", async () => {
    const client = clientWith(await startMtls({ TLS_CLIENT_IDENTITIES: "" }), importer);
    expect(await failureOf(client.listUsersPage({}))).toMatchObject(UNAUTHENTICATED);
  });
});

describe("readAltNames", () => {
  it("reads what Node writes, hosts in lower case, and leaves out what is quoted", () => {
    const list =
      'DNS:A.example, IP Address:127.0.0.1, URI:"spiffe://x, URI:spiffe://y", URI:spiffe://Z, DirName:CN = a';
    expect(readAltNames(list)).toEqual(["DNS:a.example", "IP Address:127.0.0.1", "URI:spiffe://Z", "DirName:CN = a"]);
  });

  it.each(["DNS", "DNS:a, b", 'URI:"spiffe://x', 'URI:a"b', "DNS:a,DNS:b"])("reads nothing of %j", (list) => {
    expect(readAltNames(list)).toEqual([]);
  });
});
