import { execFile, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { ADMIN, startTestServer, tokenFor } from "../support/server.ts";

const hasGrpcurl = spawnSync("grpcurl", ["--version"]).status === 0;
const run = promisify(execFile);
const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

/** The commands of the README that call the service, each with the output that the README shows for it, if any. */
function readmeCalls(tool: string): { command: string; output: string | undefined }[] {
  const blocks = [...readme.matchAll(/```(?:sh|console)\n(.*?)```/gs)].map(([, text = ""]) =>
    text.replaceAll("\\\n", ""),
  );
  return blocks.flatMap((block) => {
    const shown = /^\$ (?=grpcurl|npx buf curl)(?<command>.*)\n(?<output>(?:.*\n)*)/m.exec(block)?.groups;
    const calls = shown ? [{ command: shown.command ?? "", output: shown.output }] : block.split("\n").map(asCall);
    return calls.filter(({ command }) => command.startsWith(tool));
  });
}

function asCall(command: string): { command: string; output: undefined } {
  return { command, output: undefined };
}

/** Hides what differs from run to run. */
function withoutIds(text: string): string {
  return text.replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "ID");
}

async function shell(command: string, address: string): Promise<string> {
  const env = { ...process.env, PATH: `node_modules/.bin:${process.env.PATH}`, TOKEN: await tokenFor(ADMIN) };
  const local = command.replace("localhost:50051", address).replace(/^npx /, "");
  // Some of the calls are shown because they fail: what they print is compared, not how they end.
  const { stdout } = await run("sh", ["-c", `${local} 2>&1 || true`], { env });
  return stdout;
}

describe("the calls that the README shows", () => {
  // Needs grpcurl, which `npm test` must not require.
  it.runIf(hasGrpcurl)("work with grpcurl, and print what the README prints", async () => {
    const { address } = await startTestServer();
    const calls = readmeCalls("grpcurl");
    expect(calls.length).toBeGreaterThan(3);
    for (const { command, output } of calls) {
      const printed = await shell(command, address);
      if (output === undefined) expect(printed, command).not.toContain("ERROR");
      else expect(withoutIds(printed), command).toBe(withoutIds(output));
    }
  });

  it("work with buf curl", async () => {
    const { address } = await startTestServer();
    const calls = readmeCalls("npx buf curl");
    expect(calls).toHaveLength(1);
    for (const { command } of calls) {
      expect(JSON.parse(await shell(command, address))).toEqual({ userId: "server", message: "Echo: hello" });
    }
  });
});

/** The scripts in a page of docs/. */
function scriptsOf(page: string): string[] {
  const text = readFileSync(new URL(`../../docs/${page}`, import.meta.url), "utf8");
  return [...text.matchAll(/```(?:sh|bash)\n(.*?)```/gs)].map(([, script = ""]) => script);
}

/** What a script prints, in a folder of its own. */
async function outputOf(script: string, address: string): Promise<string> {
  const cwd = await mkdtemp(join(tmpdir(), "docs-"));
  onTestFinished(() => rm(cwd, { recursive: true }));
  const path = `${resolve("node_modules/.bin")}:${process.env.PATH}`;
  const env = { ...process.env, PATH: path, TOKEN: await tokenFor(ADMIN) };
  const { stdout } = await run("bash", ["-c", script.replace("localhost:50051", address)], { cwd, env });
  return stdout;
}

describe("the scripts in docs", () => {
  it.runIf(hasGrpcurl)("work with grpcurl", async () => {
    const { address } = await startTestServer();
    const [talk = "", listen = "", upload = ""] = scriptsOf("live-streams.md");
    const [edit = ""] = scriptsOf("collaborative-edit.md");
    expect(await outputOf(talk, address)).toMatch(/"message": "hello",.*"sequence": "1",/s);
    // Nobody is there who wants to see more.
    const others = [listen.replace("sleep 1", "sleep 0.1"), upload, edit].map((script) => outputOf(script, address));
    const [heard, uploaded, edited] = await Promise.all(others);
    expect(heard).toMatch(/"message": "hello",.*"CHAT_MESSAGE_TYPE_JOINED"/s);
    expect(uploaded).toMatch(/"rowCount": "2",\s*"createdCount": "1",.*"line": "3"/s);
    expect(edited).toMatch(/"text": "Hello".*"insert": ", world"/s);
  });

  it("import a file with buf curl too", async () => {
    const { address } = await startTestServer();
    const [, , upload = ""] = scriptsOf("live-streams.md");
    const script = upload
      .replace("grpcurl -plaintext", "buf curl --http2-prior-knowledge --protocol grpc")
      .replace("-d @ localhost:50051 ", `-d @- http://${address}/`);
    expect(JSON.parse(await outputOf(script, address))).toMatchObject({
      rowCount: "2",
      createdCount: "1",
      failures: [{ line: "3", field: "email" }],
    });
  });
});
