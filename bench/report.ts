/** What a benchmark prints. */

/** The calls per second of one round. */
export interface Round {
  /** Of what the service is compared with. */
  readonly baseline: number;
  readonly service: number;
}

/** A line of the table. */
export interface Row {
  readonly title: string;
  /** Median of the rounds, in calls per second. */
  readonly baseline: number;
  /** Median of the rounds, in calls per second. */
  readonly service: number;
  /** Median of the rounds' ratios, service to baseline: above 1, the service is faster. */
  readonly ratio: number;
  readonly lowestRatio: number;
  readonly highestRatio: number;
  readonly rounds: readonly Round[];
}

/** Sums up the rounds of a scenario. */
export function toRow(title: string, rounds: readonly Round[]): Row {
  const ratios = rounds.map(({ baseline, service }) => service / baseline);
  return {
    title,
    baseline: median(rounds.map(({ baseline }) => baseline)),
    service: median(rounds.map(({ service }) => service)),
    ratio: median(ratios),
    lowestRatio: Math.min(...ratios),
    highestRatio: Math.max(...ratios),
    rounds,
  };
}

/** A Markdown table of the rows, in calls per second. `baseline` says what the service is compared with. */
export function toTable(rows: readonly Row[], baseline: string): string {
  const cells = rows.map((row) => [
    row.title,
    toRate(row.baseline),
    toRate(row.service),
    row.ratio.toFixed(2),
    `${row.lowestRatio.toFixed(2)} to ${row.highestRatio.toFixed(2)}`,
  ]);
  const lines = [["calls/s (median)", baseline, "service", "ratio", "ratios of the rounds"], ...cells];
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  const drawn = lines.map(
    (line) => `| ${line.map((cell, column) => pad(cell, widths[column] ?? 0, column)).join(" | ")} |`,
  );
  const rule = `|${widths.map((width, column) => (column === 0 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`)).join("|")}|`;
  return [drawn[0], rule, ...drawn.slice(1)].join("\n");
}

function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}

function toRate(rate: number): string {
  return rate.toFixed(rate < 100 ? 1 : 0);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN;
  const high = sorted[Math.floor(middle)] ?? Number.NaN;
  return (low + high) / 2;
}
