import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished } from "vitest";
import { FULL } from "../support/full.ts";
import type { Target } from "./target.ts";

const CANARY = fileURLToPath(new URL("canary-process.ts", import.meta.url));
/** Calls before the attack: when they are over, a canary has warmed up. One that several attacks share was busy all the time. */
const CALLS_BEFORE = { new: 20, shared: 1 };
const CALLS_AFTER = FULL ? 50 : 20;
/** How many calls of a thousand may fail during an attack. */
const TOLERATED = 1 / 1000;

/** What a canary needs to know; its process gets it as JSON. */
export interface CanaryTask {
  readonly port: number;
  readonly token: string;
  readonly userId: string;
  /** The certificate authority of the server, in PEM, if it speaks TLS. */
  readonly ca?: string;
}

/** What became of calls. */
export interface Lap {
  /** Of the calls that went well. */
  readonly latenciesMs: readonly number[];
  /** Code and message of those that failed. */
  readonly failures: readonly string[];
}

/** How the canary fared. */
export interface CanaryFigures {
  readonly before: Lap;
  readonly during: Lap;
  readonly after: Lap;
}

/**
 * Attacks, while a client in a process of its own goes on calling every ten milliseconds. The test fails if of its calls one
 * in a thousand fails during the attack, or any after it.
 */
export async function withCanary(
  target: CanaryTask & Partial<Pick<Target, "canary">>,
  attack: () => Promise<unknown>,
): Promise<CanaryFigures> {
  const canary = target.canary ?? startCanary(target);
  // What was before is of no interest: the server may have been halted to look at it.
  await canary.lap(0);
  const before = await canary.lap(target.canary === undefined ? CALLS_BEFORE.new : CALLS_BEFORE.shared);
  await attack();
  const during = await canary.lap(1);
  const after = await canary.lap(CALLS_AFTER);
  if (canary !== target.canary) canary.stop();
  expect(before.failures, "before the attack").toEqual([]);
  const tolerated = Math.floor((during.latenciesMs.length + during.failures.length) * TOLERATED);
  if (during.failures.length > tolerated) expect(during.failures, "during the attack").toEqual([]);
  expect(after.failures, "after the attack").toEqual([]);
  return { before, during, after };
}

/** The latency in milliseconds that a share of the calls stayed below. */
export function percentile({ latenciesMs }: Lap, share: number): number {
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** A client that calls until it is stopped, or at the end of the test. */
export interface Canary {
  /** What became of the calls since the last lap, of which there are `calls` at least. */
  lap(calls: number): Promise<Lap>;
  /** Stops its process where it is (SIGSTOP): its connection stays, and nobody answers there. */
  freeze(): void;
  stop(): void;
}

/** Starts a canary. */
export function startCanary(
  { port, token, userId, ca }: CanaryTask,
  atEnd: (end: () => void) => void = onTestFinished,
): Canary {
  const task: CanaryTask = { port, token, userId, ...(ca !== undefined && { ca }) };
  const child = fork(CANARY, [JSON.stringify(task)], { serialization: "advanced" });
  const stop = () => void child.kill("SIGKILL");
  atEnd(stop);
  const died = once(child, "exit").then(([code, signal]) => {
    throw new Error(`the canary died: ${code ?? signal}`);
  });
  died.catch(() => {});
  return {
    async lap(calls) {
      child.send(calls);
      const [lap] = await Promise.race([once(child, "message"), died]);
      return lap as Lap;
    },
    freeze: () => void child.kill("SIGSTOP"),
    stop,
  };
}
