import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { beforeAll, describe, expect, test } from "vitest";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { CertificateAuthority, type CertificatePair, uriName } from "../support/certificates.ts";
import { PemFolder } from "../support/pem-folder.ts";
import { ADMIN, startTestServer, type TestServer, tokenFor } from "../support/server.ts";

const SPIFFE_ID = "spiffe://example.org/importer";

let root: CertificateAuthority;
let serverPair: CertificatePair;
let clientPair: CertificatePair;

beforeAll(async () => {
  root = await CertificateAuthority.create();
  [serverPair, clientPair] = await Promise.all([
    root.server(),
    root.client({ alternativeNames: [uriName(SPIFFE_ID)] }),
  ]);
});

function startGateway(clientCa?: string, more: Record<string, string> = {}): Promise<TestServer> {
  return startTestServer({
    environment: { HTTP_PORT: "0", ...new PemFolder().variables(serverPair, clientCa), ...more },
  });
}

/** How a call ends that shows a token, a certificate, or both. */
async function callWith(
  { server }: TestServer,
  httpVersion: "1.1" | "2",
  { token = true, certificate = false }: { token?: boolean; certificate?: boolean } = {},
): Promise<string> {
  const transport = createConnectTransport({
    baseUrl: `https://localhost:${server.httpPort}`,
    httpVersion,
    nodeOptions: { ca: root.root, ...(certificate && clientPair) },
  });
  const headers: Record<string, string> = token ? { authorization: `Bearer ${await tokenFor(ADMIN)}` } : {};
  return createClient(UserService, transport)
    .listUsersPage({}, { headers })
    .then(
      () => "ok",
      (error: Error) => error.message,
    );
}

describe.each(["1.1", "2"] as const)("over HTTP/%s", (version) => {
  test("TLS serves whoever trusts it, and who has no token is told so", async () => {
    const server = await startGateway();
    expect(await callWith(server, version)).toBe("ok");
    expect(await callWith(server, version, { token: false })).toMatch(/^\[unauthenticated\]/);
  });

  test("with a client CA, only those get in whose certificate it has signed", async () => {
    const server = await startGateway(root.root);
    expect(await callWith(server, version, { certificate: true })).toBe("ok");
    expect(await callWith(server, version)).not.toMatch(/^ok|unauthenticated/);
  });

  test("a certificate stands for no service, which calls by gRPC", async () => {
    const server = await startGateway(root.root, { TLS_CLIENT_IDENTITIES: `URI:${SPIFFE_ID}=importer` });
    expect(await callWith(server, version, { certificate: true, token: false })).toMatch(/^\[unauthenticated\]/);
  });

  test("connections are let go of when they are gone", async () => {
    const server = await startGateway();
    expect(await callWith(server, version)).toBe("ok");
    await server.server.stop();
    await expect.poll(() => server.server.openConnections).toBe(0);
  });
});
