import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import pino from "pino";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Report } from "../../src/cli/check/report.ts";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { Readiness } from "../../src/readiness.ts";
import { startServer } from "../../src/server.ts";
import { createFake } from "../../src/testing/testing.ts";
import { CertificateAuthority } from "../support/certificates.ts";
import { runCommand, startCommand } from "../support/command-line.ts";
import { PemFolder } from "../support/pem-folder.ts";
import { startProbe } from "../support/probe.ts";
import {
  ADMIN,
  applicationOf,
  JWT_SECRET,
  startTestServer,
  testConfig,
  tokenFor,
  userClient,
} from "../support/server.ts";

async function check(args: readonly string[], environment: Record<string, string> = { JWT_SECRET }) {
  const end = await runCommand(["check", "--json", ...args], environment);
  return { ...end, report: JSON.parse(end.stdout) as Report };
}

/** What does not hold, and why. */
function faults({ checks }: Report): Record<string, string | undefined> {
  return Object.fromEntries(checks.filter(({ ok }) => !ok).map(({ name, error }) => [name, error]));
}

describe("user-service check", () => {
  it("finds that everything holds for the service, and leaves nobody behind", async () => {
    const server = await startTestServer();
    const { code, report, stderr } = await check(["--address", server.address]);
    expect(faults(report)).toEqual({});
    expect({ code, stderr, ok: report.ok }).toEqual({ code: 0, stderr: "", ok: true });
    expect(report.checks.filter(({ skipped }) => skipped)).toEqual([]);
    const told = report.checks.map(({ name }) => name).join();
    for (const { name } of UserService.methods) expect(told).toContain(name);
    const { latency } = report;
    expect(latency).toMatchObject({ method: "user.v1.UserService/GetUser", calls: 100, successRate: 1, failures: {} });
    const { minMs = -1, p50Ms = -1, p95Ms = -1, p99Ms = -1, maxMs = -1 } = latency ?? {};
    expect([minMs, p50Ms, p95Ms, p99Ms, maxMs]).toEqual([minMs, p50Ms, p95Ms, p99Ms, maxMs].toSorted((a, b) => a - b));
    expect(minMs).toBeGreaterThan(0);
    expect((await userClient(server).listUsersPage({})).users).toEqual([]);
  });

  it("prints a report for people, in colours on a terminal", async () => {
    const { address } = await startTestServer();
    const args = ["check", "--address", address, "--group", "health", "--group", "auth", "--iterations", "7"];
    const plain = await runCommand(args, { TOKEN: await tokenFor(ADMIN) });
    expect(plain.stdout).toMatch(/^health\n {2}ok {4}Check says that the server serves {2}\d+ ms\n/m);
    expect(plain.stdout).toMatch(/^ {2}skip {2}PERMISSION_DENIED for users who list others: JWT_SECRET is not set/m);
    expect(plain.stdout).toMatch(/^ {2}7 calls in \d.*\n {2}100.00 % succeeded\n +min +mean +p50 +p95 +p99 +max\n/m);
    expect(plain.stdout).toMatch(/^9 checks: 8 hold, 0 do not, 1 skipped$/m);
    expect(plain.stdout).not.toContain("\u001b");
    const coloured = await startCommand(args, { environment: { JWT_SECRET }, tty: true }).end;
    expect(coloured.stdout).toContain("\u001b[32mok\u001b[39m");
    const uncoloured = await startCommand(args, { environment: { JWT_SECRET, NO_COLOR: "1" }, tty: true }).end;
    expect(uncoloured.stdout).not.toContain("\u001b");
  });

  it("writes the report to a file", async () => {
    const { address } = await startTestServer();
    const folder = await mkdtemp(join(tmpdir(), "check-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const output = join(folder, "report.json");
    const args = ["check", "--address", address, "--group", "health", "--iterations", "0", "--json", "--output"];
    expect(await runCommand([...args, output], { JWT_SECRET })).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(JSON.parse(await readFile(output, "utf8"))).toMatchObject({ address, ok: true });
    expect(await runCommand([...args, join(folder, "no/such")], { JWT_SECRET })).toMatchObject({ code: 73 });
  });

  it("names what is broken, and exits with 1", async () => {
    const user = { id: "ada", email: "ada@example.com", name: "Ada" };
    await using fake = await createFake({
      getUser: async () => ({ user }),
      createUser: async () => ({ user }),
      deleteUser: new ConnectError("broken", Code.Internal),
    });
    const { code, report, stderr } = await check(["--address", fake.address, "--group", "unary"]);
    expect(stderr).toBe("1 users that were created could not be deleted\n");
    expect({ code, ok: report.ok }).toEqual({ code: 1, ok: false });
    expect(faults(report)).toMatchObject({
      "DeleteUser deletes a user for good": "INTERNAL: broken",
      "BatchGetUsers gets users in order, and lists the missing ones": expect.stringMatching(/^UNIMPLEMENTED: /),
    });
    expect(faults(report)).not.toHaveProperty("GetUser gets a user");
    const text = await runCommand(["check", "--address", fake.address, "--group", "health"], { JWT_SECRET });
    expect(text.code).toBe(1);
    expect(text.stdout).toMatch(/^ {2}FAIL {2}Check says that the server serves/m);
  });

  it("finds that a server does not serve", async () => {
    const application = { ...applicationOf([]), readiness: new Readiness(false) };
    const server = await startServer(testConfig(), pino({ level: "silent" }), application);
    onTestFinished(() => server.stop());
    const args = ["--address", `127.0.0.1:${server.port}`, "--group", "health", "--iterations", "0"];
    const { code, report } = await check(args);
    expect(code).toBe(1);
    expect(faults(report)).toMatchObject({ "Check says that the server serves": "the status is NOT_SERVING" });
  });

  it("exits with 69 where nothing serves, with a report all the same", async () => {
    const { code, report } = await check(["--address", "127.0.0.1:1"]);
    expect({ code, ok: report.ok }).toEqual({ code: 69, ok: false });
    expect(faults(report)).toEqual({
      "the server can be reached":
        "Nothing serves at 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1. Start it with: npm start",
    });
  });

  it("finds that the token is not taken, and leaves out what needs one", async () => {
    const { address } = await startTestServer();
    const { code, report } = await check(["--address", address], {});
    expect(code).toBe(1);
    expect(Object.keys(faults(report))).toEqual(["the calls of this check are let in"]);
    expect(report.checks.find(({ group }) => group === "unary")?.skipped).toContain("set TOKEN, or JWT_SECRET");
    expect(report.latency).toBeUndefined();
  });

  it("leaves out who may call where everybody may", async () => {
    const { address } = await startTestServer({ environment: { AUTH: "none" } });
    const { code, report } = await check(["--address", address, "--group", "auth", "--group", "errors"], {});
    expect(faults(report)).toEqual({});
    expect(code).toBe(0);
    const skipped = report.checks.filter((each) => each.skipped !== undefined).map(({ group }) => group);
    expect(skipped).toEqual(["auth", "auth", "auth"]);
  });

  it("asks any other service for its health, its reflection, and the latency of a method of whichever kind", async () => {
    const { address } = await startProbe();
    const all = await check(["--address", address]);
    expect(faults(all.report)).toEqual({});
    expect(new Set(all.report.checks.map(({ group }) => group))).toEqual(new Set(["health", "reflection"]));
    expect(all.report.latency).toBeUndefined();
    for (const [method, data] of [
      ["probe.v1.ProbeService/Public", '{"text":"hello"}'],
      ["probe.v1.ProbeService/Produce", '{"number":3}'],
      ["probe.v1.ProbeService/Collect", '[{"text":"a"},{"text":"b"}]'],
    ] as const) {
      const args = ["--address", address, "--group", "auth", "--iterations", "10", "--concurrency", "2"];
      const { code, report } = await check([...args, "--method", method, "--data", data]);
      expect({ code, latency: report.latency }).toMatchObject({
        code: 0,
        latency: { method, calls: 10, successRate: 1 },
      });
    }
  });

  it("counts calls that fail by their codes, and exits with 1", async () => {
    const { address } = await startTestServer();
    const args = ["--address", address, "--group", "health", "--iterations", "5", "--data", '{"id":"nobody"}'];
    const { code, report } = await check(args);
    expect({ code, ok: report.ok }).toEqual({ code: 1, ok: false });
    expect(report.latency).toMatchObject({ successRate: 0, failures: { NOT_FOUND: 5 } });
  });

  it.each([
    { args: ["--method", "no method"], says: "--method must be" },
    { args: ["--method", "no.such.Service/Method"], says: "the server has no method no.such.Service/Method" },
    { args: ["--data", "{"], says: "--data is not what GetUser takes" },
    { args: ["--data", '{"nothing":1}'], says: "--data is not what GetUser takes" },
    { args: ["--group", "none"], says: "--group must be one of" },
    { args: ["--iterations", "-1"], says: "--iterations" },
    { args: ["--concurrency", "0"], says: "--concurrency must be a whole number" },
    { args: ["--timeout", "10"], says: "--timeout must be a whole number with the unit" },
    { args: ["--metadata", "nothing"], says: "--metadata must be NAME=VALUE" },
    { args: ["--cert-file", "a"], says: "--cert-file and --key-file go together" },
  ])("refuses $args with 64", async ({ args, says }) => {
    const { address } = await startTestServer();
    const { code, stdout, stderr } = await runCommand(["check", "--address", address, ...args], { JWT_SECRET });
    expect({ code, stdout }).toEqual({ code: 64, stdout: "" });
    expect(stderr).toContain(says);
  });

  it("does not send a token to another machine unencrypted, unless it is told to", async () => {
    const args = ["check", "--address", "192.0.2.1:1", "--token", "secret"];
    const { code, stderr } = await runCommand(args);
    expect(code).toBe(64);
    expect(stderr).toContain("The token would travel to 192.0.2.1:1 unencrypted");
    expect(stderr).not.toContain("secret");
  });

  it("calls over TLS, with a certificate of its own and metadata", async () => {
    const authority = await CertificateAuthority.create();
    const [identity, own] = await Promise.all([authority.server(), authority.client({ alternativeNames: [] })]);
    const folder = new PemFolder();
    const server = await startTestServer({ environment: folder.variables(identity, authority.root) });
    const files = {
      CA_FILE: folder.write("root.crt", authority.root),
      CLIENT_CERT_FILE: folder.write("own.crt", own.cert),
      CLIENT_KEY_FILE: folder.write("own.key", own.key),
    };
    const args = ["--address", `localhost:${server.port}`, "--group", "unary", "--iterations", "1"];
    const secure = await check([...args, "--metadata", "x-request-id=from-the-shell"], { JWT_SECRET, ...files });
    expect(faults(secure.report)).toEqual({});
    expect(secure.code).toBe(0);
    expect(server.logs.calls("user.v1.UserService/CreateUser")[0]).toMatchObject({ request_id: "from-the-shell" });
    const inPlainText = await check(args, { JWT_SECRET });
    expect(inPlainText.code).toBe(69);
    expect(inPlainText.report.checks[0]?.error).toMatch(/speaks TLS: call it with --tls or --ca-file/);
    const missing = await runCommand(["check", ...args], { JWT_SECRET, CA_FILE: "/no/such/file" });
    expect(missing).toMatchObject({ code: 66, stdout: "", stderr: expect.stringContaining("no such file") });
  });

  it("ends at Ctrl-C with 130, and leaves nobody behind", async () => {
    const server = await startTestServer();
    const args = ["check", "--address", server.address, "--iterations", "1000000", "--json"];
    const command = startCommand(args, { environment: { JWT_SECRET } });
    await server.logs.waitForCalls(100);
    command.interrupt();
    const { code, stdout } = await command.end;
    expect({ code, ok: (JSON.parse(stdout) as Report).ok }).toEqual({ code: 130, ok: false });
    expect((await userClient(server).listUsersPage({})).users).toEqual([]);
  });
});
