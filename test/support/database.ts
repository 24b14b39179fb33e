import { randomUUID } from "node:crypto";
import { Client, DatabaseError, type QueryResultRow } from "pg";
import { inject, onTestFinished } from "vitest";

/** A database that nobody else uses. */
export interface TestDatabase {
  readonly url: string;
  /** Removes the database, and ends the connections that are still open to it. */
  drop(): Promise<void>;
}

/** Makes an empty database, which is dropped after the test, and returns its URL. */
export async function freshDatabase(server?: string): Promise<string> {
  const { url, drop } = await createDatabase(server);
  onTestFinished(drop);
  return url;
}

/**
 * Makes an empty database, for one test or, from beforeAll, for those of a file. The caller drops it. It is made in the
 * server of the run, if the URL of no other is given.
 */
export async function createDatabase(server = inject("databaseUrl")): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  // Copying files takes less time than logging their pages, above all when several are made at once.
  await query(server, `CREATE DATABASE ${name} TEMPLATE template0 STRATEGY file_copy`).catch(explain);
  const url = new URL(server);
  url.pathname = name;
  return { url: url.href, drop: async () => void (await query(server, `DROP DATABASE ${name} WITH (FORCE)`)) };
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
