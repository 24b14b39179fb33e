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

/** Connections that make and drop databases, by the URL of the server. To connect takes half of the time of either. */
const administrators = new Map<string, Pool>();

/** Connections are kept so long between two databases, in milliseconds. */
const ADMINISTRATOR_IDLE_MS = 2000;

async function administer(server: string, statement: string): Promise<void> {
  let pool = administrators.get(server);
  if (pool === undefined) {
    pool = new Pool({
      connectionString: server,
      max: 4,
      idleTimeoutMillis: ADMINISTRATOR_IDLE_MS,
      allowExitOnIdle: true,
    });
    pool.on("error", () => {}); // Some tests end their server.
    administrators.set(server, pool);
  }
  await pool.query(statement);
}

async function copyOf(template: string, server: string): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  // Copying files takes less time than logging their pages, above all when several are made at once.
  await administer(server, `CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY file_copy`).catch(explain);
  const url = new URL(server);
  url.pathname = name;
  return { url: url.href, drop: () => administer(server, `DROP DATABASE ${name} WITH (FORCE)`) };
}

function forOneTest({ url, drop }: TestDatabase): string {
  onTestFinished(drop);
  return url;
}

/** The rows that a statement returns, over a connection of its own. */
export async function query<Row extends QueryResultRow>(url: string, statement: string): Promise<Row[]> {
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
