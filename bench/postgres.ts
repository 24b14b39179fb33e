/**
 * Measures this service on PostgreSQL, with everything on, against what `pg` alone makes of the same table: the price of
 * being a service.
 *
 *   npm run bench:postgres -- [--rounds 5] [--seconds 3]
 *
 * In every round both take their turn, each in a fresh process on a fresh database. Read the ratios: calls per second mean
 * little on another machine.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import pg from "pg";
import { START_FLAGS } from "../scripts/start-flags.ts";
import { signToken } from "../src/interceptors/token.ts";
import { migrate } from "../src/repository/postgres/migrate.ts";
import { startPostgres } from "../test/support/postgres.ts";
import { h2loadVersion } from "./h2load.ts";
import { CONNECTIONS, measure } from "./measure.ts";
import { runScript } from "./processes.ts";
import type { RawOrder } from "./raw-postgres.ts";
import { type Round, type Row, toRow, toTable } from "./report.ts";
import { SCENARIOS, type Scenario } from "./scenarios.ts";

const SECRET = randomBytes(32).toString("hex");
const TOKEN_SECONDS = 86_400;
const POOL_SIZE = 10;
const GRACE_MS = 60_000;

const { values: flags } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "3" } },
});
const rounds = Number(flags.rounds);
const seconds = Number(flags.seconds);
const token = await signToken({ secret: Buffer.from(SECRET) }, { id: "bench", role: "admin" }, TOKEN_SECONDS);
const h2load = (await h2loadVersion()) !== undefined;

const server = await startPostgres({ fsync: "on" });
try {
  const rows: Row[] = [];
  for (const scenario of SCENARIOS) {
    if (scenario.name !== "Chat") rows.push(await compare(scenario));
  }
  process.stdout.write(`Medians of ${rounds} rounds of ${seconds} s\n\n${toTable(rows, "pg alone")}\n`);
} finally {
  await server.close();
}

async function compare(scenario: Scenario): Promise<Row> {
  const lanes = CONNECTIONS * scenario.streams;
  const measured: Round[] = [];
  for (let round = 0; round < rounds; round++) {
    const baseline = async (): Promise<number> => {
      const url = await freshDatabase();
      await migrate(url);
      const order: RawOrder = { url, name: scenario.name, lanes, poolSize: POOL_SIZE, seconds };
      return Number(await runScript("raw-postgres.ts", JSON.stringify(order), GRACE_MS + seconds * 1000));
    };
    const service = async (): Promise<number> => {
      const settings = { JWT_SECRET: SECRET, HOST: "127.0.0.1", PORT: "0", HTTP_PORT: "none", LOG_FORMAT: "json" };
      const environment = { ...settings, DATABASE_URL: await freshDatabase(), DATABASE_POOL_SIZE: String(POOL_SIZE) };
      return measure({ script: "../src/main.ts", nodeOptions: START_FLAGS, environment }, scenario, {
        token,
        seconds,
        h2load,
      });
    };
    // Whoever goes first may find another machine than who goes second.
    const first = round % 2 === 0 ? await baseline() : await service();
    const second = round % 2 === 0 ? await service() : await baseline();
    measured.push(round % 2 === 0 ? { baseline: first, service: second } : { baseline: second, service: first });
    process.stderr.write(`${scenario.title}, round ${round + 1} of ${rounds}\n`);
  }
  return toRow(scenario.title, measured);
}

async function freshDatabase(): Promise<string> {
  const name = `bench_${randomUUID().replaceAll("-", "")}`;
  const client = new pg.Client(server.url());
  await client.connect();
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  return server.url(name);
}
