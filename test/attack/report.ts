import { appendFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { percentile } from "./canary.ts";
import type { Damage } from "./damage.ts";

/** Where the figures of a run are, as a table in Markdown. */
export const REPORT_FILE = fileURLToPath(new URL("../../build/attacks.md", import.meta.url));

export const REPORT_HEAD = `\
| Attack | What was sent | What the server did | Resident MiB before, peak, after | Canary calls, failed | Canary ms p50, p99 |
|---|---|---|---|---|---|
`;

const MIB = 2 ** 20;

/** Adds a row to the report. */
export function report(attack: string, sent: string, answer: string, damage: Damage): void {
  const { during } = damage.canary;
  const memory = [damage.bytesBefore, damage.bytesPeak, damage.bytesAfter].map((bytes) => Math.round(bytes / MIB));
  const latencies = [0.5, 0.99].map((share) => percentile(during, share).toFixed(1));
  const cells = [
    attack,
    `${sent}, in ${damage.seconds.toFixed(1)} s`,
    answer,
    memory.join(", "),
    `${during.latenciesMs.length + during.failures.length}, ${during.failures.length}`,
    latencies.join(", "),
  ];
  appendFileSync(REPORT_FILE, `| ${cells.join(" | ")} |\n`);
}
