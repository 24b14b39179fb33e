/** Drives a server with h2load (nghttp2), which takes less of the machine than any client in Node. */
import type { LoadOrder } from "./load.ts";
import { runProgram } from "./processes.ts";

/** How much longer than told h2load may take, in milliseconds. */
const GRACE_MS = 20_000;

/** The version of the h2load on the PATH; undefined if there is none. */
export async function h2loadVersion(): Promise<string | undefined> {
  try {
    return (await runProgram("h2load", ["--version"], GRACE_MS)).trim();
  } catch {
    return undefined;
  }
}

/**
 * The calls per second that a server answers; `seconds` is a whole number.
 *
 * h2load sees no grpc-status. But a call that fails has no answer, so the bytes received tell whether all were whole.
 * (That is why a warm-up is a run of its own: h2load counts the bytes of its --warm-up-time, too.)
 *
 * @throws Error if a call failed.
 */
export async function driveWithH2load(
  { port, path, token, bodyFile, answerBytes, connections, streams }: LoadOrder,
  seconds: number,
): Promise<number> {
  const stdout = await runProgram(
    "h2load",
    [
      ["-c", String(connections), "-m", String(streams), "-D", String(seconds)],
      ["-d", bodyFile, "-H", "content-type: application/grpc", "-H", "te: trailers"],
      ["-H", `authorization: Bearer ${token}`, `http://127.0.0.1:${port}${path}`],
    ].flat(),
    seconds * 1000 + GRACE_MS,
  );
  const [rate = 0] = numbers(stdout, /^finished in .*?, ([\d.]+) req\/s/m);
  const [calls = 0, ...troubles] = numbers(stdout, /(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout$/m);
  const [bytes = 0] = numbers(stdout, /\((\d+)\) data$/m);
  // When time is up, some calls of each connection are half-done.
  const slack = connections * streams * answerBytes;
  const isWhole = Math.abs(bytes - calls * answerBytes) <= slack;
  if (rate === 0 || calls === 0 || troubles.some((trouble) => trouble !== 0) || !isWhole)
    throw new Error(`calls failed; every answer should have had ${answerBytes} bytes\n${stdout}`);
  return rate;
}

function numbers(text: string, pattern: RegExp): number[] {
  return (pattern.exec(text) ?? []).slice(1).map(Number);
}
