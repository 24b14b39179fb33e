import { execFile } from "node:child_process";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

/** A tool that a language needs is not there, or does not work. The message says what to do. */
export class ToolchainError extends Error {
  override readonly name = "ToolchainError";
}

/** How a tool is run. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What to do if the tool fails, for people. */
  readonly remedy: string;
}

/**
 * Runs a tool to its end, and returns what it prints.
 *
 * @throws ToolchainError with the remedy, and the end of what the tool said, if it is missing or fails.
 */
export function runTool(command: string, args: readonly string[], options: RunOptions): Promise<string> {
  const { cwd, env, remedy } = options;
  return new Promise((resolve, reject) => {
    const settings = { cwd, env: { ...process.env, ...env }, maxBuffer: 2 ** 26 };
    execFile(command, args, settings, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const said = `${stdout}${stderr}`.trim().split("\n").slice(-8).join("\n");
      reject(
        new ToolchainError(`${[command, ...args.slice(0, 3)].join(" ")} failed. ${remedy}\n${said || error.message}`),
      );
    });
  });
}

/** Runs a tool of this package's own dependencies, by its name, to its end. */
export function runOwnTool(root: string, name: string, args: readonly string[]): Promise<string> {
  const options = { cwd: root, remedy: "Run npm ci." };
  return runTool(process.execPath, [join(root, "node_modules/.bin", name), ...args], options);
}

/**
 * Makes a folder once: a later call finds it. It appears under its name only when it is complete, so that a run that
 * was interrupted leaves nothing half made, and two at once do not disturb each other.
 */
export async function makeOnce(folder: string, make: (unfinished: string) => Promise<void>): Promise<string> {
  if (await exists(folder)) return folder;
  const unfinished = `${folder}.${process.pid}`;
  await mkdir(dirname(folder), { recursive: true });
  try {
    await make(unfinished);
    await rename(unfinished, folder);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    if (!(await exists(folder))) throw error;
  }
  return folder;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
