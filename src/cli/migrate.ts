import { parseConfig } from "../config.ts";
import { EX_CONFIG, EX_UNAVAILABLE } from "../exit-codes.ts";
import { migrate as migrateDatabase } from "../repository/postgres/migrate.ts";
import { CommandError, defineCommand } from "./command.ts";
import { judged } from "./token-key.ts";

/** Brings the tables of the database up to date, as the service does when it starts. */
export const migrate = defineCommand({
  about:
    "Reads DATABASE_URL or DATABASE_URL_FILE as the service does. Prints the name of each migration that it applied.",
  options: {},
  examples: ["DATABASE_URL=postgres://users:secret@localhost:5432/users user-service migrate"],
  exits: {
    [EX_UNAVAILABLE]: "the database could not be migrated",
    [EX_CONFIG]: "the database is not named, or not by a URL",
  },
  async run(_values, _operand, { stdout, environment }) {
    const url = readUrl(environment);
    try {
      for (const name of await migrateDatabase(url)) stdout.write(`${name}\n`);
      return 0;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new CommandError(EX_UNAVAILABLE, `the database could not be migrated: ${reason}`);
    }
  },
});

function readUrl({ DATABASE_URL, DATABASE_URL_FILE }: NodeJS.ProcessEnv): string {
  // The rest of the service's settings is not for this command to judge.
  const { database } = judged(() => parseConfig({ DATABASE_URL, DATABASE_URL_FILE }, []));
  if (database !== undefined) return database.url;
  throw new CommandError(EX_CONFIG, "DATABASE_URL: must be set, to the database of the service");
}
