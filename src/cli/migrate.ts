/**
 * Brings the tables of the database up to date, as the service does when it starts.
 *
 *   user-service migrate
 *
 * Reads DATABASE_URL or DATABASE_URL_FILE as the service does. Prints the name of each migration that it applied.
 */
import { ConfigError, parseConfig } from "../config.ts";
import { EX_CONFIG, EX_UNAVAILABLE, EX_USAGE, fail } from "../exit-codes.ts";
import { migrate } from "../repository/postgres/migrate.ts";

if (process.argv.length > 2) fail(EX_USAGE, "usage: user-service migrate, with DATABASE_URL set");
else await run();

async function run(): Promise<void> {
  try {
    for (const name of await migrate(readUrl())) process.stdout.write(`${name}\n`);
  } catch (error) {
    if (error instanceof ConfigError) fail(EX_CONFIG, error.faults.join("\n"));
    else fail(EX_UNAVAILABLE, `the database could not be migrated: ${error instanceof Error ? error.message : error}`);
  }
}

function readUrl(): string {
  // The rest of the service's settings is not for this command to judge.
  const { DATABASE_URL, DATABASE_URL_FILE } = process.env;
  const { database } = parseConfig({ DATABASE_URL, DATABASE_URL_FILE }, []);
  if (database === undefined) throw new ConfigError(["DATABASE_URL: must be set, to the database of the service"]);
  return database.url;
}
