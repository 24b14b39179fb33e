/** The child processes of a benchmark. None of them outlives it. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const START_MS = 15_000;
const STOP_MS = 5000;
const POLL_MS = 20;

/** A script that listens, and the environment that it gets besides PATH. */
export interface ServerScript {
  /** Relative to this folder. */
  readonly script: string;
  /** Options of Node.js. */
  readonly nodeOptions?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** A server that listens, until it is disposed of. */
export interface ServerProcess extends AsyncDisposable {
  readonly port: number;
}

const children = new Set<ChildProcess>();
let scratch: string | undefined;

process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  if (scratch !== undefined) rmSync(scratch, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

/** The path of a file in a folder that vanishes with this process. */
export function scratchFile(name: string): string {
  scratch ??= mkdtempSync(join(tmpdir(), "bench-"));
  return join(scratch, name);
}

/**
 * Starts a server. What it writes to stdout goes to a file, which costs this machine less than a reader would; it must
 * begin with a line of JSON that holds the port.
 *
 * @throws Error if the server does not listen in time.
 */
export async function startServer({ script, nodeOptions = [], environment }: ServerScript): Promise<ServerProcess> {
  const log = scratchFile("server.log");
  const stdout = openSync(log, "w");
  const child = spawn(process.execPath, [...nodeOptions, pathTo(script)], {
    env: { PATH: process.env.PATH, ...environment },
    stdio: ["ignore", stdout, "inherit"],
  });
  closeSync(stdout);
  keep(child);
  const port = await portFrom(log, script, child);
  return { port, [Symbol.asyncDispose]: () => stop(child) };
}

/**
 * Runs a program to its end, and returns what it prints.
 *
 * @throws Error if it fails, takes too long, or does not exist (with the code ENOENT).
 */
export async function runProgram(file: string, args: readonly string[], timeoutMs: number): Promise<string> {
  const running = promisify(execFile)(file, args, { timeout: timeoutMs });
  keep(running.child);
  const { stdout } = await running;
  return stdout;
}

/** Runs a script of this folder to its end, and returns what it prints. */
export function runScript(script: string, argument: string, timeoutMs: number): Promise<string> {
  return runProgram(process.execPath, [pathTo(script), argument], timeoutMs);
}

function keep(child: ChildProcess): void {
  children.add(child);
  child.once("close", () => children.delete(child));
}

function pathTo(script: string): string {
  return fileURLToPath(new URL(script, import.meta.url));
}

async function portFrom(log: string, script: string, child: ChildProcess): Promise<number> {
  for (const end = Date.now() + START_MS; Date.now() < end && child.exitCode === null; await sleep(POLL_MS)) {
    const [line, ...rest] = (await readFile(log, "utf8")).split("\n");
    if (line === undefined || rest.length === 0) continue;
    const { port }: { port?: unknown } = JSON.parse(line);
    if (typeof port === "number") return port;
  }
  throw new Error(`${script} does not listen`);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  child.kill("SIGTERM");
  await exited;
  clearTimeout(timer);
}
