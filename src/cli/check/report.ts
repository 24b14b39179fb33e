import { describeLoad, type LoadResult } from "../load.ts";
import { paint, printable, type Terminal } from "../terminal.ts";

/** What came of a check. */
export interface CheckResult {
  readonly name: string;
  readonly group: string;
  /** Also true if it could not be told. */
  readonly ok: boolean;
  readonly durationMs: number;
  /** Why it does not hold. */
  readonly error?: string;
  /** Why it could not be told. */
  readonly skipped?: string;
}

/** How long calls of one method took. */
export interface LatencyResult extends LoadResult {
  readonly method: string;
  readonly concurrency: number;
}

/** What came of all checks: what `check --json` prints. Fields are added to it, but none changes. */
export interface Report {
  readonly address: string;
  /** Whether all checks hold, and all calls succeeded whose latency was measured. */
  readonly ok: boolean;
  readonly checks: readonly CheckResult[];
  readonly latency?: LatencyResult;
}

/** The report for people. */
export function describeReport({ address, ok, checks, latency }: Report, terminal: Terminal): string {
  const lines = [address];
  let group = "";
  for (const check of checks) {
    if (check.group !== group) lines.push("", paint(terminal, "bold", check.group));
    group = check.group;
    lines.push(...describe(check, terminal));
  }
  if (latency !== undefined) {
    const { method, concurrency } = latency;
    lines.push("", paint(terminal, "bold", `latency of ${method}, ${concurrency} at a time`));
    lines.push(...describeLoad(latency).map((line) => `  ${line}`));
  }
  const failed = checks.filter((check) => !check.ok).length;
  const skipped = checks.filter((check) => check.skipped !== undefined).length;
  const parts = [`${checks.length - failed - skipped} hold`, `${failed} do not`, `${skipped} skipped`];
  const summary = `${checks.length} checks: ${parts.join(", ")}`;
  return [...lines, "", paint(terminal, ok ? "green" : "red", summary), ""].join("\n");
}

function describe({ name, ok, durationMs, error, skipped }: CheckResult, terminal: Terminal): string[] {
  const took = paint(terminal, "dim", `${durationMs.toFixed(0)} ms`);
  if (skipped !== undefined) return [`  ${paint(terminal, "yellow", "skip")}  ${name}: ${printable(skipped)}`];
  if (ok) return [`  ${paint(terminal, "green", "ok")}    ${name}  ${took}`];
  return [`  ${paint(terminal, "red", "FAIL")}  ${name}  ${took}`, `        ${printable(error ?? "")}`];
}
