import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { type ConnectionOptions, DEFAULT_CIPHERS } from "node:tls";
import { Code } from "@connectrpc/connect";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { createUserClient, type UserClientOptions } from "../../src/client/user-client.ts";
import { toTlsIdentity } from "../../src/grpc/tls-files.ts";
import { TlsServer } from "../../src/grpc/tls-server.ts";
import { CertificateAuthority, type CertificatePair } from "../support/certificates.ts";
import { shakeHands } from "../support/handshake.ts";
import { PemFolder } from "../support/pem-folder.ts";
import { ADMIN, startTestServer, type TestServer, tokenFor } from "../support/server.ts";

const HOUR_MS = 3_600_000;

let root: CertificateAuthority;
let foreigner: CertificateAuthority;
let serverPair: CertificatePair;
let clientPair: CertificatePair;

beforeAll(async () => {
  [root, foreigner] = await Promise.all([CertificateAuthority.create(), CertificateAuthority.create("a foreigner")]);
  const intermediate = await root.intermediate();
  const alternativeNames = ["localhost", "users.example.com"].map((value) => ({ type: "dns", value }) as const);
  [serverPair, clientPair] = await Promise.all([intermediate.server({ alternativeNames }), root.client()]);
});

/** A server with TLS, which wants client certificates if `clientCa` is there. */
function startTlsServer(clientCa?: string): Promise<TestServer> {
  return startTestServer({ environment: new PemFolder().variables(serverPair, clientCa) });
}

/** How a call ends: its code, or `ok`. */
async function callWith(server: TestServer, tls: NonNullable<UserClientOptions["tls"]>): Promise<string> {
  const channelOptions = { "grpc.enable_retries": 0 };
  using client = createUserClient(`localhost:${server.port}`, { token: await tokenFor(ADMIN), tls, channelOptions });
  return await client.listUsersPage({}).then(
    () => "ok",
    (error: { code: Code }) => Code[error.code],
  );
}

/** What failed handshakes were logged, by their reasons. Stops the server, which logs what it has not told yet. */
async function failuresOf({ server, logs }: TestServer): Promise<Record<string, number>> {
  await server.stop();
  const sum: Record<string, number> = {};
  for (const text of logs.texts) {
    const { msg, counts } = JSON.parse(text) as { msg: string; counts: Record<string, number> };
    if (msg !== "TLS handshakes failed") continue;
    for (const [reason, count] of Object.entries(counts)) sum[reason] = (sum[reason] ?? 0) + count;
  }
  return sum;
}

describe("a server with a certificate", () => {
  it("serves whoever trusts it, by its name", async () => {
    const server = await startTlsServer();
    expect(await callWith(server, { ca: root.root })).toBe("ok");
    expect(await callWith(server, { ca: root.root, serverName: "users.example.com" })).toBe("ok");
    expect(await callWith(server, { ca: root.root, serverName: "elsewhere.example.com" })).toBe("Unavailable");
    expect(await callWith(server, { ca: foreigner.root })).toBe("Unavailable");
    expect(await callWith(server, true)).toBe("Unavailable");
  });

  it("speaks TLS 1.2 and 1.3, and nothing older", async () => {
    const { port } = await startTlsServer();
    const ca = root.root;
    expect(await shakeHands(port, { ca })).toMatchObject({ protocol: "TLSv1.3" });
    expect(await shakeHands(port, { ca, maxVersion: "TLSv1.2" })).toMatchObject({ protocol: "TLSv1.2" });
    const old = { ca, minVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
    for (const maxVersion of ["TLSv1", "TLSv1.1"] as const) {
      const { failure } = await shakeHands(port, { ...old, maxVersion });
      expect(failure).toBe("ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION");
    }
  });

  it("takes no cipher that HTTP/2 forbids, also after its certificate was replaced", async () => {
    const folder = new PemFolder();
    const server = await startTestServer({ environment: folder.variables(serverPair), tlsLookMs: 5 });
    const weak = { ca: root.root, maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-SHA256" } as const;
    // A client of Node's would use it.
    expect(DEFAULT_CIPHERS).toContain("ECDHE-RSA-AES128-SHA256");
    expect((await shakeHands(server.port, weak)).failure).toMatch(/HANDSHAKE_FAILURE/);
    folder.variables(await root.server());
    await server.logs.waitFor("TLS files replaced");
    expect((await shakeHands(server.port, weak)).failure).toMatch(/HANDSHAKE_FAILURE/);
  });

  it("speaks HTTP/2 alone", async () => {
    const { port } = await startTlsServer();
    const ca = root.root;
    const { failure } = await shakeHands(port, { ca, ALPNProtocols: ["http/1.1"] });
    expect(failure).toMatch(/NO_APPLICATION_PROTOCOL/);
    const { said } = await shakeHands(port, { ca, ALPNProtocols: undefined } as ConnectionOptions);
    expect(said).toMatch(/^HTTP\/1.0 403 Forbidden/);
  });

  it("refuses plain text, and says so in the log", async () => {
    const server = await startTlsServer();
    expect(await callWith(server, false)).toBe("PermissionDenied");
    expect(await callWith(server, { ca: root.root })).toBe("ok");
    expect(Object.keys(await failuresOf(server))).toContain("ERR_SSL_WRONG_VERSION_NUMBER");
  });

  it("does not fill the log with those who try and try, and forgets none of them", async () => {
    const server = await startTlsServer();
    const tries = Array.from({ length: 40 }, () => shakeHands(server.port, { ca: root.root, ALPNProtocols: ["none"] }));
    await Promise.all(tries);
    expect(await failuresOf(server)).toEqual({ ERR_SSL_NO_APPLICATION_PROTOCOL: 40 });
    expect(server.logs.lines.filter(({ msg }) => msg === "TLS handshakes failed")).toHaveLength(2);
  });

  it("does not mention those who only look whether the port is open", async () => {
    const server = await startTlsServer();
    const socket = connect(server.port, "127.0.0.1");
    await once(socket, "connect");
    socket.end();
    await once(socket.resume(), "close");
    expect(await failuresOf(server)).toEqual({});
  });

  it("finishes no handshake once it has stopped", async () => {
    const { port, server } = await startTlsServer();
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    const closed = new Promise((resolve) => socket.resume().on("error", resolve).on("close", resolve));
    await server.stop();
    const outcome = await Promise.race([closed.then(() => ({})), shakeHands(port, { socket, ca: root.root })]);
    expect(outcome).not.toHaveProperty("said");
  });

  it("warns of a certificate that expires soon", async () => {
    const soon = await root.server({ notAfter: new Date(Date.now() + 13 * 24 * HOUR_MS) });
    const { logs } = await startTestServer({ environment: new PemFolder().variables(soon) });
    expect(logs.lines.find(({ msg }) => msg === "certificate expires soon")?.level).toBe("warn");
    const { logs: others } = await startTlsServer();
    expect(others.lines.map(({ msg }) => msg)).toEqual(["TLS files loaded"]);
  });
});

describe("a server without one", () => {
  it("refuses TLS, and goes on", async () => {
    const server = await startTestServer();
    expect((await shakeHands(server.port, { ca: root.root })).failure).toBeDefined();
    expect(await callWith(server, { ca: root.root })).toBe("Unavailable");
    expect(await callWith(server, false)).toBe("ok");
  });
});

describe("a server that wants client certificates", () => {
  it("serves those whom its authorities have signed, directly or not", async () => {
    const server = await startTlsServer(root.root);
    const indirect = await (await root.intermediate()).client();
    expect(await callWith(server, { ca: root.root, ...clientPair })).toBe("ok");
    expect(await callWith(server, { ca: root.root, ...indirect })).toBe("ok");
    expect(await failuresOf(server)).toEqual({});
  });

  it.each<[string, string, () => Promise<Partial<CertificatePair>>]>([
    ["who has none", "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE", async () => ({})],
    ["of somebody else's signing", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", () => foreigner.client()],
    ["signed by itself", "DEPTH_ZERO_SELF_SIGNED_CERT", () => CertificateAuthority.selfSigned()],
    ["who is no client", "INVALID_PURPOSE", () => root.server()],
    [
      "that has expired",
      "CERT_HAS_EXPIRED",
      () => root.client({ notBefore: new Date(Date.now() - 2 * HOUR_MS), notAfter: new Date(Date.now() - HOUR_MS) }),
    ],
    [
      "that is not valid yet",
      "CERT_NOT_YET_VALID",
      () => root.client({ notBefore: new Date(Date.now() + HOUR_MS), notAfter: new Date(Date.now() + 2 * HOUR_MS) }),
    ],
  ])("refuses one %s", async (_who, reason, issue) => {
    const server = await startTlsServer(root.root);
    const pair = await issue();
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      expect(await shakeHands(server.port, { ca: root.root, maxVersion, ...pair })).not.toHaveProperty("said");
    }
    expect(await failuresOf(server)).toEqual({ [reason]: 2 });
  });
});

describe("TlsServer", () => {
  it("cuts off whoever does not finish the handshake in time, however busy", async () => {
    const failed = Promise.withResolvers<string>();
    const events = { onSecure() {}, onFailed: failed.resolve };
    const tls = new TlsServer(toTlsIdentity({ ...serverPair, clientCa: undefined }), ["h2"], events, 60);
    const listener = createServer((socket) => tls.accept(socket)).listen(0, "127.0.0.1");
    await once(listener, "listening");
    onTestFinished(() => void listener.close());

    const socket = connect((listener.address() as AddressInfo).port, "127.0.0.1");
    const dribbling = dribble(socket);
    // Not once(), which fails at an error, as there may be one.
    await new Promise((resolve) => socket.resume().on("close", resolve));
    clearInterval(dribbling);
    expect(await failed.promise).toBe("ERR_TLS_HANDSHAKE_TIMEOUT");
  });
});

/** Begins a record of a handshake, and goes on with it a byte at a time. */
function dribble(socket: Socket): NodeJS.Timeout {
  socket.on("error", () => {}).write(Buffer.of(22, 3, 1, 0x40, 0));
  return setInterval(() => socket.write(Buffer.of(1)), 10);
}
