import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { duplexPair } from "node:stream";
import { text } from "node:stream/consumers";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { toTlsIdentity } from "../../src/grpc/tls-files.ts";
import { TlsServer } from "../../src/grpc/tls-server.ts";
import { CertificateAuthority, type CertificatePair } from "../support/certificates.ts";
import { shakeHands } from "../support/handshake.ts";
import {
  callFields,
  frameOf,
  headers as headersFrame,
  literalBlock,
  PREFACE,
  resetStream,
  settings,
  TYPE,
} from "../support/http2-frames.ts";
import { PemFolder } from "../support/pem-folder.ts";
import { openRawConnection } from "../support/raw-connection.ts";
import { openRequest } from "../support/raw-http2.ts";
import { startTestServer, type TestServer, userClient } from "../support/server.ts";

const MESSAGE = "TLS required: this port speaks TLS, and the connection came in plain text";
const GET_USER = "/user.v1.UserService/GetUser";

let root: CertificateAuthority;
let pair: CertificatePair;

beforeAll(async () => {
  root = await CertificateAuthority.create();
  pair = await root.server();
});

function startTlsServer(): Promise<TestServer> {
  return startTestServer({ environment: { HTTP_PORT: "0", ...new PemFolder().variables(pair) } });
}

describe("a client that speaks plain text to a port with TLS", () => {
  it("is told by gRPC, with details, and not to try again", async () => {
    const server = await startTlsServer();
    const error = await userClient(server, null)
      .getUser({ id: "nobody" })
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ message: `[permission_denied] ${MESSAGE}` });
    expect((error as { findDetails(schema: unknown): unknown[] }).findDetails(ErrorInfoSchema)).toMatchObject([
      { reason: "TLS_REQUIRED" },
    ]);
  });

  it("is told by HTTP/2 as well: GOAWAY with INADEQUATE_SECURITY", async () => {
    const { port } = await startTlsServer();
    const { stream, response } = openRequest(port, GET_USER);
    const goneAway = once(stream.session ?? raise(), "goaway");
    const { headers } = await response;
    expect(headers).toMatchObject({ ":status": 200, "grpc-status": "7" });
    const [code, , why] = await goneAway;
    expect([code, String(why)]).toEqual([12, "TLS required"]);
  });

  it("is told by HTTP/1.1, on both ports", async () => {
    const { port, server } = await startTlsServer();
    for (const each of [port, server.httpPort]) {
      const response = await fetch(`http://127.0.0.1:${each}${GET_USER}`, {
        method: "POST",
        body: "x".repeat(100_000),
      });
      expect(response.status).toBe(400);
      expect(await response.json()).toEqual({ code: "permission_denied", message: MESSAGE });
    }
  });

  it.each(["1.1", "2"] as const)("is told by Connect over HTTP/%s", async (httpVersion) => {
    const { server } = await startTlsServer();
    const baseUrl = `http://127.0.0.1:${server.httpPort}`;
    const client = createClient(UserService, createConnectTransport({ baseUrl, httpVersion }));
    await expect(client.getUser({ id: "nobody" })).rejects.toThrow(`[permission_denied] ${MESSAGE}`);
  });

  it.each<[string, Buffer]>([
    ["NO_ERROR", resetStream(1, "NO_ERROR")],
    ["PROTOCOL_ERROR", resetStream(1, "PROTOCOL_ERROR")],
    ["CANCEL", resetStream(1)],
    ["a frame that breaks the connection", frameOf(TYPE.DATA, 0, 0, Buffer.alloc(1))],
  ])("may take its call back as it makes it, by %s", async (_, end) => {
    const server = await startTlsServer();
    const block = literalBlock(callFields(GET_USER));
    const { closed } = await openRawConnection(server.port, PREFACE, settings(), headersFrame(1, block), end);
    await expect(userClient(server, null).getUser({ id: "nobody" })).rejects.toThrow(MESSAGE);
    await server.server.stop();
    await closed;
  });

  it("is not served, and let go of", async () => {
    const { port, server, logs } = await startTlsServer();
    await openRequest(port, GET_USER).response;
    await expect.poll(() => server.openConnections).toBe(0);
    expect(logs.calls()).toEqual([]);
    expect((await logs.waitFor("TLS handshakes failed"))[0]).toMatchObject({
      counts: { ERR_SSL_WRONG_VERSION_NUMBER: 1 },
    });
  });
});

describe("a port with TLS", () => {
  it("knows a handshake that arrives a byte at a time", async () => {
    const { port } = await startTlsServer();
    const [near, far] = duplexPair();
    const connection = connect({ port, host: "127.0.0.1", noDelay: true });
    onTestFinished(() => void connection.destroy());
    connection.pipe(far);
    far.on("data", (bytes: Buffer) => {
      for (const byte of bytes) connection.write(Buffer.of(byte));
    });
    expect(await shakeHands(port, { socket: near as never, ca: root.root })).toHaveProperty("said");
  });

  it("reads the beginning of plain text a byte at a time", async () => {
    const { port } = await startTlsServer();
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    onTestFinished(() => void socket.destroy());
    await once(socket, "connect");
    for (const byte of "GET / HTTP/1.1\r\n\r\n") await new Promise((written) => socket.write(byte, written));
    expect(await text(socket)).toMatch(/^HTTP\/1.1 400 /);
  });

  it.each([
    ["nothing", []],
    ["one byte of plain text", [Buffer.from("P")]],
    ["one byte of TLS", [Buffer.of(0x16)]],
    ["the preface of HTTP/2, and no call", [PREFACE, settings()]],
    ["a request, and stays", [Buffer.from("GET / HTTP/1.1\r\n\r\n")]],
  ])("cuts off in time who sends %s", async (_, sent) => {
    const identity = toTlsIdentity({ ...pair, clientCa: undefined });
    const failed = Promise.withResolvers<string>();
    const tls = new TlsServer(identity, ["h2"], { onSecure() {}, onFailed: failed.resolve }, 30);
    const listener = createServer({ allowHalfOpen: true }, (socket) => tls.accept(socket)).listen(0, "127.0.0.1");
    onTestFinished(() => void listener.close());
    await once(listener, "listening");
    const { closed, payloads } = await openRawConnection((listener.address() as AddressInfo).port, ...sent);
    await closed;
    expect(await failed.promise).toMatch(/^ERR_(TLS_HANDSHAKE_TIMEOUT|SSL_WRONG_VERSION_NUMBER|SSL_HTTP_REQUEST)$/);
    if (sent[0] === PREFACE) expect(payloads(TYPE.SETTINGS)).not.toEqual([]);
  });
});

function raise(): never {
  throw new Error("there is none");
}
