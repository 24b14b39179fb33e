/**
 * Measures this service, with everything on, against what everybody builds first (tutorial-server.ts).
 *
 *   npm run bench -- [--rounds 5] [--seconds 3] [--only GetUser,Chat] [--json]
 *
 * In every round of a scenario both servers take their turn, each in a fresh process, so that the machine's moods hit
 * both alike. Read the ratios: calls per second mean little on another machine. Exits with 1 if a single answer is wrong.
 */
import { randomBytes } from "node:crypto";
import { availableParallelism, cpus } from "node:os";
import { parseArgs } from "node:util";
import { START_FLAGS } from "../scripts/start-flags.ts";
import { signToken } from "../src/interceptors/token.ts";
import { h2loadVersion } from "./h2load.ts";
import { type MeasureOptions, measure } from "./measure.ts";
import type { ServerScript } from "./processes.ts";
import { type Round, type Row, toRow, toTable } from "./report.ts";
import { SCENARIOS, type Scenario } from "./scenarios.ts";

const SECRET = randomBytes(32).toString("hex");
const TOKEN_SECONDS = 86_400;
/** The users that CreateUsers leaves behind grow with the seconds, and have to fit into memory. */
const MAX_SECONDS = 30;

const SERVERS: Readonly<Record<keyof Round, ServerScript>> = {
  baseline: { script: "tutorial-server.ts", environment: {} },
  service: {
    script: "../src/main.ts",
    nodeOptions: START_FLAGS,
    environment: { JWT_SECRET: SECRET, HOST: "127.0.0.1", PORT: "0", HTTP_PORT: "none", LOG_FORMAT: "json" },
  },
};

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
    only: { type: "string" },
    json: { type: "boolean", default: false },
  },
});
const rounds = wholeNumber("rounds", flags.rounds, 100);
const seconds = wholeNumber("seconds", flags.seconds, MAX_SECONDS);
const scenarios = chosen(flags.only);

const version = await h2loadVersion();
const machine = {
  node: process.version,
  cores: availableParallelism(),
  cpu: cpus()[0]?.model ?? "unknown",
  driver: version === undefined ? "load.ts" : `${version}; load.ts for CreateUsers`,
};
const token = await signToken({ secret: Buffer.from(SECRET) }, { id: "bench", role: "admin" }, TOKEN_SECONDS);
const rows: Row[] = [];
for (const scenario of scenarios) rows.push(await compare(scenario, { token, seconds, h2load: version !== undefined }));

if (flags.json) print(JSON.stringify({ machine, rounds, seconds, rows }, undefined, 2));
else {
  print(`Node ${machine.node}, ${machine.cores} cores (${machine.cpu}), driven by ${machine.driver}`);
  print(`Medians of ${rounds} rounds of ${seconds} s\n`);
  print(toTable(rows, "tutorial"));
}

async function compare(scenario: Scenario, options: MeasureOptions): Promise<Row> {
  const measured: Round[] = [];
  for (let round = 0; round < rounds; round++) {
    // Whoever goes first may find another machine than who goes second.
    const order = round % 2 === 0 ? (["baseline", "service"] as const) : (["service", "baseline"] as const);
    const rates = { baseline: 0, service: 0 };
    for (const name of order) rates[name] = await measure(SERVERS[name], scenario, options);
    measured.push(rates);
    const ratio = (rates.service / rates.baseline).toFixed(2);
    process.stderr.write(`${scenario.title}, round ${round + 1} of ${rounds}: ${ratio}\n`);
  }
  return toRow(scenario.title, measured);
}

function chosen(only: string | undefined): readonly Scenario[] {
  if (only === undefined) return SCENARIOS;
  const names = only.split(",");
  const unknown = names.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name));
  if (unknown.length > 0) fail(`--only ${unknown.join()}: there are ${SCENARIOS.map(({ name }) => name).join()}`);
  return SCENARIOS.filter(({ name }) => names.includes(name));
}

function wholeNumber(flag: string, text: string, max: number): number {
  const value = Number(text);
  if (!/^\d{1,3}$/.test(text) || value < 1 || value > max)
    fail(`--${flag} ${text}: must be a whole number from 1 to ${max}`);
  return value;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function fail(text: string): never {
  process.stderr.write(`${text}\n`);
  process.exit(1);
}
