import { readFile } from "node:fs/promises";
import { CommandError, UsageError } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { overviewHelp } from "./help.ts";
import type { Terminal } from "./terminal.ts";

/**
 * Runs a command line: the name of a command, and its arguments. Returns the exit status, once what went wrong has been
 * said on stderr. Only failures that nobody has foreseen are thrown.
 */
export async function runCommandLine(args: readonly string[], terminal: Terminal): Promise<number> {
  const [name = "", ...rest] = args;
  if (name === "--help" || name === "-h") {
    terminal.stdout.write(overviewHelp(COMMANDS));
    return 0;
  }
  if (name === "--version") {
    terminal.stdout.write(`${await readVersion()}\n`);
    return 0;
  }
  const entry = COMMANDS.find((command) => command.name === name);
  try {
    if (entry === undefined) throw new UsageError(overviewHelp(COMMANDS).trimEnd());
    return await (await entry.load()).run(rest, terminal, entry);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    terminal.stderr.write(`${error.message}\n`);
    if (entry !== undefined && error instanceof UsageError) {
      terminal.stderr.write(`user-service ${name} --help tells more.\n`);
    }
    return error.exitCode;
  }
}

async function readVersion(): Promise<string> {
  // As far above src/cli as above dist/cli.
  const text = await readFile(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
