#!/usr/bin/env node
/** The command `user-service`: runs one of its commands with the arguments that follow. */
import { EX_USAGE, fail } from "../exit-codes.ts";

interface Command {
  readonly about: string;
  run(): Promise<unknown>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  serve: { about: "serve user.v1.UserService", run: () => import("../main.ts") },
  migrate: { about: "bring the tables of the database up to date", run: () => import("./migrate.ts") },
  token: { about: "mint a token for development", run: () => import("./token.ts") },
};

const USAGE = `usage: user-service COMMAND [ARGUMENTS]

${Object.entries(COMMANDS)
  .map(([name, { about }]) => `  ${name.padEnd(8)} ${about}`)
  .join("\n")}`;

// What remains are the arguments of the command.
const [name = ""] = process.argv.splice(2, 1);
const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
if (command !== undefined) await command.run();
else if (name === "--help") process.stdout.write(`${USAGE}\n`);
else fail(EX_USAGE, USAGE);
