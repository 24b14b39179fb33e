import { Client } from "pg";
import { onTestFinished } from "vitest";
import { query } from "./database.ts";

/** Whom somebody waits for who waits for others: the ids of their processes. */
interface Waiting {
  readonly blockers: readonly number[];
}

const WAITING = `SELECT pg_blocking_pids(pid) AS blockers FROM pg_stat_activity
  WHERE datname = current_database() AND pg_blocking_pids(pid) <> '{}'`;

/** A transaction of somebody else, which ends with the test at the latest. */
export async function openTransaction(url: string, statements: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  onTestFinished(() => client.end());
  await client.connect();
  await client.query(`BEGIN; ${statements}`);
  return client;
}

/** Returns those who wait for others in a database, as soon as there are so many. */
export async function waitingIn(url: string, count: number): Promise<readonly Waiting[]> {
  for (;;) {
    const waiting = await query<Waiting>(url, WAITING);
    if (waiting.length >= count) return waiting;
  }
}
