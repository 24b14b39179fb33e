import { Client } from "pg";
import { expect, onTestFinished } from "vitest";
import { query } from "../../support/database.ts";

/** A statement of the service that PostgreSQL executes, or an open transaction of it. */
export interface RunningStatement {
  readonly pid: number;
  readonly query: string;
  /** Whether it waits for a lock. */
  readonly waits: boolean;
}

/** How long PostgreSQL may take to stop statements, until a test fails. */
const PATIENCE = { timeout: 10_000, interval: 20 };

/** What the service does on a database, but for asking whether it is there. */
function statementsOn(url: string): Promise<RunningStatement[]> {
  return query<{ pid: number; query: string; waits: boolean }>(
    url,
    `SELECT pid, query, wait_event_type = 'Lock' AS waits FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'user-service' AND state <> 'idle' AND query <> 'SELECT'
    ORDER BY query_start`,
  );
}

/** Waits until `count` statements of the service wait for locks, and returns them. */
export async function untilWaiting(url: string, count: number): Promise<RunningStatement[]> {
  let waiting: RunningStatement[] = [];
  await expect
    .poll(async () => {
      waiting = (await statementsOn(url)).filter(({ waits }) => waits);
      return waiting.length;
    }, PATIENCE)
    .toBe(count);
  return waiting;
}

/** Waits until the service does nothing on the database, and has no transaction open. */
export async function untilIdle(url: string): Promise<void> {
  await expect.poll(() => statementsOn(url), PATIENCE).toEqual([]);
}

/** Something that others have to wait for. */
export interface HeldLock {
  release(): Promise<void>;
}

/** Executes a statement that takes a lock, in a transaction that lasts until the lock is released, or to the end of the test. */
export async function holdLock(url: string, statement: string): Promise<HeldLock> {
  const client = new Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  let ended: Promise<void> | undefined;
  const release = (): Promise<void> => {
    ended ??= client.end();
    return ended;
  };
  onTestFinished(release);
  await client.query("BEGIN");
  await client.query(statement);
  return { release };
}

/** Locks that keep others from reading users, or from writing them, or their transactions from committing. */
export const LOCKS = {
  reads: "LOCK TABLE users IN ACCESS EXCLUSIVE MODE",
  writes: "LOCK TABLE users IN SHARE MODE",
  commits: "SELECT pg_advisory_lock(hashtextextended('changes', 0))",
} as const;
