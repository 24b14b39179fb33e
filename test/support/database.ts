import { randomUUID } from "node:crypto";
import { Client, DatabaseError, Pool, type QueryResultRow } from "pg";
import { inject, onTestFinished } from "vitest";

/** A database that nobody else uses. */
export interface TestDatabase {
  readonly url: string;
  /** Removes the database, and ends the connections that are still open to it. */
  drop(): Promise<void>;
}

/** Makes a database with the tables of the service, none of which has a row, and returns its URL. It is dropped after the test. */
export async function freshDatabase(): Promise<string> {
  return forOneTest(await createDatabase());
}

/** Makes a database without a table, and returns its URL. It is dropped after the test. */
export async function emptyDatabase(): Promise<string> {
  return forOneTest(await createEmptyDatabase(inject("databaseUrl")));
}

/** Makes what freshDatabase does, for one test or, from beforeAll, for those of a file. The caller drops it. */
export async function createDatabase(): Promise<TestDatabase> {
  // A copy takes a third of the time of the migrations.
  return copyOf(inject("migratedDatabase"), inject("databaseUrl"));
}

/** Makes a database without a table in the server at a URL. The caller drops it. */
export async function createEmptyDatabase(server: string): Promise<TestDatabase> {
  return copyOf("template0", server);
}

/** Connections that execute statements of tests, by the URL of their database: to connect takes longer than most do. */
const pools = new Map<string, Pool>();

/** Connections are kept so long between two statements, in milliseconds. */
const IDLE_MS = 2000;

function poolOf(url: string): Pool {
  const known = pools.get(url);
  if (known !== undefined) return known;
  const pool = new Pool({ connectionString: url, max: 4, idleTimeoutMillis: IDLE_MS, allowExitOnIdle: true });
  pool.on("error", () => {}); // Some tests end their server.
  pools.set(url, pool);
  return pool;
}

async function copyOf(template: string, server: string): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  // Copying files takes less time than logging their pages, above all when several are made at once.
  await poolOf(server).query(`CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY file_copy`).catch(explain);
  const url = Object.assign(new URL(server), { pathname: name }).href;
  const drop = async (): Promise<void> => {
    const pool = pools.get(url);
    pools.delete(url);
    await poolOf(server).query(`DROP DATABASE ${name} WITH (FORCE)`);
    await pool?.end();
  };
  return { url, drop };
}

function forOneTest({ url, drop }: TestDatabase): string {
  onTestFinished(drop);
  return url;
}

/**
 * The rows that a statement returns. Its connection is kept for the next one, but not to a server of a test's own, which
 * may stop or freeze it.
 */
export async function query<Row extends QueryResultRow>(url: string, statement: string): Promise<Row[]> {
  if (new URL(url).host === new URL(inject("databaseUrl")).host) return (await poolOf(url).query<Row>(statement)).rows;
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(statement)).rows;
  } finally {
    await client.end();
  }
}

function explain(cause: unknown): never {
  if (!(cause instanceof DatabaseError && cause.code === "42501")) throw cause;
  throw new Error("the role in the URL of the server, DATABASE_URL, needs CREATEDB: tests make databases", { cause });
}
