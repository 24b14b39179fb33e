import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";
import { START_FLAGS } from "../../scripts/start-flags.ts";
import { COMPILE_CACHE } from "./compile-cache.ts";
import { LogLines } from "./log-lines.ts";
import { peakBytes, residentBytes } from "./process-memory.ts";
import { JWT_SECRET } from "./server.ts";

/** A server that runs in a process of its own, as it does in production. */
export interface ServerProcess {
  readonly port: number;
  readonly logs: LogLines;
  /** Resident memory in bytes, now. */
  residentMemory(): Promise<number>;
  /** The most memory in bytes that was resident while something happened. */
  peakMemory(happening: () => Promise<unknown>): Promise<number>;
  /** Memory in bytes that objects and buffers occupy, once the garbage is collected. */
  memoryInUse(): Promise<number>;
}

/** Loaded before the server: collects garbage on request, and tells what is left. */
const COLLECTOR = `
  process.on("message", async () => {
    // What is finalized after one collection, the next one frees.
    for (let count = 0; count < 3; count++) await gc({ type: "major", execution: "async" });
    const { heapUsed, external } = process.memoryUsage();
    process.send(heapUsed + external);
  });
  process.channel.unref();
`;

/**
 * Runs `src/main.ts` on a free port until the test is finished, with variables and options of Node besides those of the
 * tests.
 */
export async function startServerProcess(
  environment: Readonly<Record<string, string>> = {},
  nodeOptions: readonly string[] = [],
): Promise<ServerProcess> {
  const preload = `data:text/javascript,${encodeURIComponent(COLLECTOR)}`;
  const child = spawn(
    process.execPath,
    [...START_FLAGS, ...nodeOptions, "--expose-gc", "--import", preload, "src/main.ts"],
    {
      env: {
        HOST: "127.0.0.1",
        PORT: "0",
        HTTP_PORT: "none",
        LOG_FORMAT: "json",
        SHUTDOWN_TIMEOUT: "5s",
        JWT_SECRET,
        ...COMPILE_CACHE,
        ...environment,
      },
      stdio: ["ignore", "pipe", "inherit", "ipc"],
    },
  );
  const exited = once(child, "exit");
  onTestFinished(async () => {
    child.kill("SIGTERM");
    await exited;
  });

  const logs = new LogLines();
  const listening = Promise.withResolvers<number>();
  if (child.stdout === null) throw new Error("the server has no standard output");
  createInterface(child.stdout).on("line", (text) => {
    logs.write(text);
    const line = JSON.parse(text) as { msg: string; port: number };
    if (line.msg === "listening") listening.resolve(line.port);
  });
  child.once("exit", (code) => listening.reject(new Error(`the server exited with ${code}`)));

  return {
    port: await listening.promise,
    logs,
    residentMemory: () => residentBytes(child.pid ?? 0),
    peakMemory: (happening) => peakBytes(child.pid ?? 0, happening),
    async memoryInUse() {
      child.send("measure");
      const [bytes] = await once(child, "message");
      return Number(bytes);
    },
  };
}
