import { type ExecFileOptions, execFile, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { ADMIN, startTestServer, tokenFor } from "./server.ts";

/** Whether the clients in other languages are made and tested, which takes a minute and what their package registries have. */
const FOREIGN = Boolean(process.env.FOREIGN);

/** The interpreter that Python's clients are tested with. */
export const PYTHON = process.env.PYTHON ?? "python3";

/** Why the tests of a language do not run; undefined if they do. */
export function whyNot(command: string, ...args: readonly string[]): string | undefined {
  if (!FOREIGN) return "they run in npm run test:foreign";
  return spawnSync(command, args).status === 0 ? undefined : `${command} is not installed`;
}

/** Runs a program to its end, and returns what it prints. Rejects with all that it said if it fails, or takes minutes. */
export function runProgram(command: string, args: readonly string[], options: ExecFileOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const { env, ...rest } = options;
    const settings = {
      timeout: 240_000,
      ...rest,
      env: { ...process.env, ...env },
      maxBuffer: 2 ** 26,
      encoding: "utf8",
    } as const;
    execFile(command, args, settings, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${command} ${args.join(" ")}: ${error.message}\n${stdout}${stderr}`));
    });
  });
}

/** A folder that is removed after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "clients-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

/** The environment of an example that calls a server of its own, as an admin. */
export async function liveServer(): Promise<{ ADDRESS: string; TOKEN: string }> {
  const { address } = await startTestServer();
  return { ADDRESS: address, TOKEN: await tokenFor(ADMIN) };
}
