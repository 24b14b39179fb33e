import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { COMPILE_CACHE } from "./compile-cache.ts";

/** How a script ended. */
export interface ScriptEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a script of src/ to its end, with nothing of this process in its environment but what is given. */
export function runScript(
  path: string,
  args: readonly string[] = [],
  environment: Record<string, string> = {},
): Promise<ScriptEnd> {
  const script = fileURLToPath(new URL(`../../src/${path}`, import.meta.url));
  return new Promise((resolve) => {
    const env = { ...COMPILE_CACHE, ...environment };
    execFile(process.execPath, [script, ...args], { env, timeout: 30_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}
