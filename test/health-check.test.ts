import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { describe, expect, it, onTestFinished } from "vitest";
import { checkHealth } from "../src/check-health.ts";
import { serveHealth } from "../src/grpc/health.ts";
import { LiveStreams } from "../src/grpc/live-streams.ts";
import { CertificateAuthority } from "./support/certificates.ts";
import { COMPILE_CACHE } from "./support/compile-cache.ts";
import { PemFolder } from "./support/pem-folder.ts";
import { startTestServer } from "./support/server.ts";

const HEALTH_CHECK = fileURLToPath(new URL("../src/health-check.ts", import.meta.url));

/** Runs the program in this environment: its exit status, and what it says. */
async function run(environment: Record<string, string>): Promise<{ status: number; said: string }> {
  const env = { PATH: process.env.PATH ?? "", ...COMPILE_CACHE, ...environment };
  const child = spawn(process.execPath, [HEALTH_CHECK], { env, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const [status] = await once(child, "close");
  return { status, said };
}

/** The port of a server that says NOT_SERVING. */
async function startUnhealthyServer(): Promise<string> {
  const server = new Server();
  onTestFinished(() => server.forceShutdown());
  serveHealth(server, [], new LiveStreams());
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return String(port);
}

/** The port of a server that accepts connections and says nothing, and a way to close it. */
async function startSilentServer(): Promise<{ port: string; close(): void }> {
  const server = createServer((socket) => {
    onTestFinished(() => void socket.destroy());
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  return { port: String((server.address() as AddressInfo).port), close: () => server.close() };
}

describe("the health check", () => {
  it("exits with 0 when the service serves, and passes by a proxy", async () => {
    const { port } = await startTestServer();
    const proxy = "http://127.0.0.1:1";
    const environment = { PORT: String(port), http_proxy: proxy, grpc_proxy: proxy };
    expect(await run(environment)).toEqual({ status: 0, said: "" });
  });

  it("asks the host that the service listens on", async () => {
    const { port } = await startTestServer();
    expect(await checkHealth({ PORT: String(port), HOST: "localhost" })).toBeUndefined();
    expect(await checkHealth({ PORT: String(port), HOST: "127.0.0.2" })).toMatch(/^127\.0\.0\.2:\d+: .*UNAVAILABLE/);
  });

  it("exits with 1 when the service does not serve", async () => {
    const PORT = await startUnhealthyServer();
    expect(await run({ PORT })).toEqual({ status: 1, said: `127.0.0.1:${PORT}: not serving\n` });
  });

  it("fails when nobody listens", async () => {
    const { port: PORT, close } = await startSilentServer();
    close();
    expect(await checkHealth({ PORT })).toContain("UNAVAILABLE");
  });

  it("fails when nobody answers", async () => {
    const { port: PORT } = await startSilentServer();
    expect(await checkHealth({ PORT })).toMatch(/./);
  });

  it("asks over TLS, whatever the name and the state of the files", async () => {
    const pair = await (await CertificateAuthority.create()).server({ alternativeNames: [] });
    const folder = new PemFolder();
    const environment = folder.variables(pair);
    const PORT = String((await startTestServer({ environment })).port);
    folder.write("tls.crt", "half");
    expect(await checkHealth({ PORT, ...environment })).toBeUndefined();
    expect(await checkHealth({ PORT: String((await startTestServer()).port), ...environment })).toMatch(/./);
  });

  it("asks with the certificate of the service if clients need one", async () => {
    const root = await CertificateAuthority.create();
    const environment = new PemFolder().variables(await root.peer(), root.root);
    const { port, logs } = await startTestServer({ environment });
    expect(await checkHealth({ PORT: String(port), ...environment })).toBeUndefined();
    expect(logs.calls("Health/Check")).toHaveLength(1);
  });

  it("takes handshakes for health if clients need a certificate that the service has none of", async () => {
    const [root, clients] = await Promise.all([CertificateAuthority.create(), CertificateAuthority.create()]);
    const environment = new PemFolder().variables(await root.server(), clients.root);
    const { port, server } = await startTestServer({ environment });
    expect(await checkHealth({ PORT: String(port), ...environment })).toBeUndefined();
    await server.stop();
    expect(await checkHealth({ PORT: String(port), ...environment })).toMatch(/./);
  });

  it("exits with 1 when the configuration is wrong", async () => {
    expect(await run({ PORT: "99999" })).toMatchObject({ status: 1, said: expect.stringContaining("PORT") });
  });
});
