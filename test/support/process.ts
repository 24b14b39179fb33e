import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { START_FLAGS } from "../../scripts/start-flags.ts";
import { COMPILE_CACHE } from "./compile-cache.ts";

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** The service in a process of its own. */
export interface ServiceProcess {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  /** The lines of stdout so far. */
  readonly stdout: string[];
  /** The text of stderr so far. */
  stderr(): string;
  /** The port, as soon as the service listens. Rejects if it exits first. */
  readonly port: Promise<number>;
  /** The exit status, or the signal that ended the process. */
  readonly exit: Promise<number | NodeJS.Signals>;
}

/**
 * Starts the service as `npm start` does, or from another `main`. It is ended after the test, if it still runs, or when
 * `atEnd` says.
 */
export function startProcess(
  environment: Record<string, string>,
  args: readonly string[] = [],
  main = MAIN,
  atEnd: (end: () => void) => void = onTestFinished,
): ServiceProcess {
  const env = {
    PATH: process.env.PATH ?? "",
    HOST: "127.0.0.1",
    PORT: "0",
    HTTP_PORT: "none",
    ...COMPILE_CACHE,
    ...environment,
  };
  const child = spawn(process.execPath, [...START_FLAGS, main, ...args], {
    env,
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  }) as ServiceProcess["child"];
  atEnd(() => void child.kill("SIGKILL"));

  const stdout: string[] = [];
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const listening = Promise.withResolvers<number>();
  createInterface(child.stdout).on("line", (line) => {
    stdout.push(line);
    const { msg, port } = JSON.parse(line) as { msg: string; port?: number };
    if (msg === "listening" && port !== undefined) listening.resolve(port);
  });
  const exit = once(child, "close").then(([code, signal]: (number | NodeJS.Signals)[]) => {
    listening.reject(new Error(`the service ended: ${stderr}`));
    return code ?? signal ?? -1;
  });
  listening.promise.catch(() => {});
  return { child, stdout, stderr: () => stderr, port: listening.promise, exit };
}
