import { createHistogram } from "node:perf_hooks";
import { readFailure } from "../client/failure.ts";

/** How often something is called, and how. Ends with whichever limit comes first. */
export interface LoadOptions {
  /** How many calls are under way at a time. */
  readonly concurrency: number;
  readonly iterations?: number;
  readonly durationMs?: number;
  /** Ends it early. */
  readonly signal: AbortSignal;
}

/** How long calls took, and what became of them. Times are in milliseconds, of all calls, also those that failed. */
export interface LoadResult {
  readonly calls: number;
  /** Which part of them succeeded, from 0 to 1. */
  readonly successRate: number;
  /** How many failed with which code. */
  readonly failures: Readonly<Record<string, number>>;
  readonly durationMs: number;
  /** Calls a second. */
  readonly throughput: number;
  readonly minMs: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const NS_PER_MS = 1e6;

/** Calls, and when a call has ended makes the next one, as often as it is told. */
export async function runLoad(call: () => Promise<unknown>, options: LoadOptions): Promise<LoadResult> {
  const { concurrency, iterations = Number.POSITIVE_INFINITY, durationMs = Number.POSITIVE_INFINITY, signal } = options;
  const histogram = createHistogram({ figures: 4 });
  const failures: Record<string, number> = {};
  const start = performance.now();
  let begun = 0;
  let failed = 0;
  const worker = async (): Promise<void> => {
    while (begun < iterations && performance.now() - start < durationMs && !signal.aborted) {
      begun++;
      const began = performance.now();
      try {
        await call();
      } catch (error) {
        // What was under way when the user had enough says nothing.
        if (signal.aborted) return;
        const { code } = readFailure(error);
        failures[code] = (failures[code] ?? 0) + 1;
        failed++;
      }
      histogram.record(Math.max(1, Math.round((performance.now() - began) * NS_PER_MS)));
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  const elapsedMs = performance.now() - start;
  const calls = histogram.count;
  const ms = (ns: number): number => (calls === 0 ? 0 : round(ns / NS_PER_MS));
  return {
    calls,
    successRate: calls === 0 ? 0 : (calls - failed) / calls,
    failures,
    durationMs: round(elapsedMs),
    throughput: round((calls / elapsedMs) * 1000),
    minMs: ms(histogram.min),
    meanMs: ms(histogram.mean),
    p50Ms: ms(histogram.percentile(50)),
    p95Ms: ms(histogram.percentile(95)),
    p99Ms: ms(histogram.percentile(99)),
    maxMs: ms(histogram.max),
  };
}

/** A load as people read it, line by line. */
export function describeLoad(load: LoadResult): string[] {
  const { calls, successRate, failures, durationMs, throughput } = load;
  const times = [load.minMs, load.meanMs, load.p50Ms, load.p95Ms, load.p99Ms, load.maxMs];
  const names = ["min", "mean", "p50", "p95", "p99", "max"];
  const codes = Object.entries(failures).map(([code, count]) => `${count} ${code}`);
  return [
    `${calls} calls in ${(durationMs / 1000).toFixed(2)} s, ${throughput.toFixed(0)} a second`,
    `${(successRate * 100).toFixed(2)} % succeeded${codes.length === 0 ? "" : `; failed: ${codes.join(", ")}`}`,
    names.map((name) => name.padStart(9)).join(""),
    `${times.map((time) => time.toFixed(2).padStart(9)).join("")}  ms`,
  ];
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
