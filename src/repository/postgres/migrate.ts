import { readdir } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { Connection } from "./connection.ts";
import { withoutValues } from "./faults.ts";

/** Beside src/ and dist/ alike. */
const MIGRATIONS = fileURLToPath(new URL("../../../migrations", import.meta.url));

const CONNECT_TIMEOUT_MS = 5000;

/** Where it is noted which migrations have been applied. */
const MIGRATIONS_TABLE = "migrations";

/**
 * Brings the tables of a database up to date, and returns the names of the migrations that it applied. Processes that
 * do it at once wait for each other. When the signal is aborted, it fails, and what it has begun is rolled back.
 */
export async function migrate(url: string, signal?: AbortSignal): Promise<string[]> {
  signal?.throwIfAborted();
  const connection = new Connection({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  const cut = (): void => connection.cut();
  signal?.addEventListener("abort", cut);
  try {
    await connection.connect();
    // Whoever has nothing to apply waits for no lock.
    if (await isUpToDate(connection)) return [];
    // Loaded only where it is wanted: it adds some 30 ms to a start.
    const { runner } = await import("node-pg-migrate");
    const applied = await runner({
      dbClient: connection,
      dir: MIGRATIONS,
      direction: "up",
      migrationsTable: MIGRATIONS_TABLE,
      advisoryLockMode: "wait",
      log: () => {},
    });
    return applied.map(({ name }) => name);
  } catch (error) {
    // The values of a row that stands in the way may be personal.
    throw withoutValues(error, "migrate");
  } finally {
    signal?.removeEventListener("abort", cut);
    cut();
  }
}

/** Whether all migrations have been applied to a database, and perhaps those of a later version. */
export async function isUpToDate(connection: Connection): Promise<boolean> {
  const table = await connection.query("SELECT to_regclass($1) AS name", [MIGRATIONS_TABLE]);
  if (table.rows[0]?.name === null) return false;
  const { rows } = await connection.query<{ name: string }>(`SELECT name FROM ${MIGRATIONS_TABLE}`);
  const applied = new Set(rows.map(({ name }) => name));
  const files = await readdir(MIGRATIONS);
  return files.every((file) => applied.has(basename(file, ".sql")));
}
