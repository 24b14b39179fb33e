import type { TestProject } from "vitest/node";
import { startPostgres } from "./postgres.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The server in which tests make databases: that of DATABASE_URL, or else one that lives as long as the run. */
    databaseUrl: string;
  }
}

/** Called by vitest before the first test file. Returns what it calls after the last. */
export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const given = process.env.DATABASE_URL;
  if (given) {
    project.provide("databaseUrl", given);
    return;
  }
  // Every worker has pools of its own.
  const server = await startPostgres({ max_connections: "500" }).catch((cause: unknown) => {
    throw new Error("PostgreSQL could not be started for the tests; DATABASE_URL can name another", { cause });
  });
  project.provide("databaseUrl", server.url());
  return () => server.close();
}
