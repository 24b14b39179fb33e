import type { TestProject } from "vitest/node";
import { migrate } from "../../src/repository/postgres/migrate.ts";
import { createEmptyDatabase } from "./database.ts";
import { makeTemplate, startPostgres } from "./postgres.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The server in which tests make databases: that of DATABASE_URL, or else one that lives as long as the run. */
    databaseUrl: string;
    /** The name of a database in it that the migrations have been applied to: what tests make is a copy of it. */
    migratedDatabase: string;
  }
}

/** Those of the server of the run, which no test stops: it spares what only helps one that crashes, is copied or grows old. */
const SETTINGS = {
  max_connections: "500", // Every worker has pools of its own.
  shared_buffers: "64MB",
  synchronous_commit: "off",
  full_page_writes: "off",
  wal_level: "minimal",
  max_wal_senders: "0",
  autovacuum: "off",
  io_method: "sync",
};

/** Called by vitest before the first test file. Returns what it calls after the last. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env.DATABASE_URL;
  // Most of the time that a server of one's own takes to start. Who names a server may have no other.
  const removeTemplate = given ? undefined : await makeTemplate().catch(explain);
  const server = given ? undefined : await startPostgres(SETTINGS).catch(explain);
  const url = server?.url() ?? given ?? "";
  const migrated = await createEmptyDatabase(url);
  await migrate(migrated.url);
  project.provide("databaseUrl", url);
  project.provide("migratedDatabase", new URL(migrated.url).pathname.slice(1));
  return async () => {
    await Promise.all([removeTemplate?.(), server === undefined ? migrated.drop() : server.close()]);
  };
}

function explain(cause: unknown): never {
  throw new Error("PostgreSQL could not be started for the tests; DATABASE_URL can name another", { cause });
}
