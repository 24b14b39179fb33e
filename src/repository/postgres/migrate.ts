import { fileURLToPath } from "node:url";
import { runner } from "node-pg-migrate";

/** Beside src/ and dist/ alike. */
const MIGRATIONS = fileURLToPath(new URL("../../../migrations", import.meta.url));

/** Where it is noted which migrations have been applied. */
const MIGRATIONS_TABLE = "migrations";

/**
 * Brings the tables of a database up to date, and returns the names of the migrations that it applied. Processes that do it
 * at once wait for each other.
 */
export async function migrate(url: string): Promise<string[]> {
  const applied = await runner({
    databaseUrl: { connectionString: url, application_name: "user-service migrate", connectionTimeoutMillis: 5000 },
    dir: MIGRATIONS,
    direction: "up",
    migrationsTable: MIGRATIONS_TABLE,
    advisoryLockMode: "wait",
    log: () => {},
  });
  return applied.map(({ name }) => name);
}
