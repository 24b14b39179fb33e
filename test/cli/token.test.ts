import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it, onTestFinished } from "vitest";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { runCommand } from "../support/command-line.ts";
import { failureOf } from "../support/errors.ts";
import { runScript } from "../support/script.ts";
import { JWT_SECRET, startTestServer } from "../support/server.ts";

function mint(args: string[], environment: Record<string, string> = { JWT_SECRET }) {
  return runCommand(["token", ...args], environment);
}

async function clientWith(args: string[]) {
  const { stdout } = await mint(args);
  const server = await startTestServer();
  const transport = createGrpcTransport({
    baseUrl: `http://${server.address}`,
    interceptors: [
      (next) => (request) => {
        request.header.set("authorization", `Bearer ${stdout.trim()}`);
        return next(request);
      },
    ],
  });
  return createClient(UserService, transport);
}

describe("user-service token", () => {
  it("makes a token that a server with the same key believes, in the role that is asked for", async () => {
    const client = await clientWith(["--subject", "alice", "--role", "admin"]);
    expect((await client.listUsersPage({})).users).toEqual([]);
  });

  it("makes users unless told otherwise", async () => {
    const client = await clientWith(["--subject", "alice"]);
    expect(await failureOf(client.listUsersPage({}))).toMatchObject({ code: "PermissionDenied" });
  });

  it("prints the token alone, with the subject, the role, the issuer, the audience and the expiry", async () => {
    const environment = { JWT_SECRET, JWT_ISSUER: "us", JWT_AUDIENCE: "them" };
    const { code, stdout, stderr } = await mint(
      ["--subject", "backup", "--role", "service", "--hours", "0.5"],
      environment,
    );
    expect([code, stderr]).toEqual([0, ""]);
    const payload = JSON.parse(Buffer.from(stdout.split(".")[1] ?? "", "base64url").toString());
    expect(payload).toMatchObject({ sub: "backup", role: "service", iss: "us", aud: "them" });
    expect(payload.exp - payload.iat).toBe(1800);
  });

  it.each([
    { when: "no subject is given", args: [], says: "--subject must name" },
    { when: "the role is none", args: ["--subject", "a", "--role", "root"], says: "--role must be one of" },
    { when: "the hours are no number", args: ["--subject", "a", "--hours", "x"], says: "--hours must be" },
    { when: "an option is unknown", args: ["--subjects", "a"], says: "--subjects" },
  ])("exits with 64 when $when", async ({ args, says }) => {
    const { code, stdout, stderr } = await mint(args);
    expect([code, stdout]).toEqual([64, ""]);
    expect(stderr).toContain(says);
  });

  it.each([
    { when: "there is no key", environment: {} },
    { when: "the key is too short", environment: { JWT_SECRET: "short" } },
  ])("exits with 78 when $when, and does not show it", async ({ environment }) => {
    const { code, stdout, stderr } = await mint(["--subject", "a"], environment as Record<string, string>);
    expect([code, stdout]).toEqual([78, ""]);
    expect(stderr).toContain("JWT_SECRET: must be");
    expect(stderr).not.toContain("short");
  });

  it.each([
    { name: "JWT_PUBLIC_KEY_FILE", value: "/keys/public.pem" },
    { name: "JWT_JWKS_URL", value: "https://issuer.example/keys" },
  ])("exits with 78 when the server only verifies tokens: $name", async ({ name, value }) => {
    const { code, stdout, stderr } = await mint(["--subject", "a"], { [name]: value });
    expect([code, stdout]).toEqual([78, ""]);
    expect(stderr).toContain(`${name}: verifies tokens, and makes none; ask their issuer for one`);
  });

  it("reads the key from a file, as the server does", async () => {
    const folder = await mkdtemp(join(tmpdir(), "token-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, "key"), JWT_SECRET);
    const { code, stderr } = await mint(["--subject", "a"], { JWT_SECRET_FILE: join(folder, "key") });
    expect([code, stderr]).toEqual([0, ""]);
  });

  it("does not care for settings that are not about tokens", async () => {
    const environment = { JWT_SECRET, PORT: "none", NODE_ENV: "production" };
    expect(await mint(["--subject", "a"], environment)).toMatchObject({ code: 0, stderr: "" });
  });

  it("shows the stack of any other failure", async () => {
    const breaking = 'crypto.subtle.importKey = () => { throw new Error("broken") };';
    const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(breaking)}`;
    const { code, stdout, stderr } = await runScript("cli/user-service.ts", ["token", "--subject", "a"], {
      JWT_SECRET,
      NODE_OPTIONS,
    });
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/Error: broken\n +at /);
  });
});
