/**
 * Checks a contract: `npm run proto:check -- [FILE] [--json] [--output FILE] [--against REF] [--include DIR]`. Without
 * a file, it is the one of this project, with all that CI holds it to.
 */
import { access, writeFile } from "node:fs/promises";
import { CommandError, defineCommand } from "../src/cli/command.ts";
import { paint, processTerminal, type Terminal } from "../src/cli/terminal.ts";
import { EX_CANTCREAT, EX_NOINPUT } from "../src/exit-codes.ts";
import { type ContractCheck, checkContract } from "./proto/any-contract.ts";
import type { Finding } from "./proto/buf.ts";
import { checkOwnContract } from "./proto/own-contract.ts";

const command = defineCommand({
  about: "Checks syntax, names, good practice and format, and with --against, whether those who use it are broken.",
  operand: {
    name: "FILE",
    about: "a .proto file, or a directory of them; without one, the contract of this project",
    optional: true,
  },
  options: {
    against: {
      type: "string",
      value: "REF",
      about: "what must not be broken: a commit, a branch or a tag of git, or a directory, a file or an image of buf's",
    },
    include: { type: "string", value: "DIR", about: "where imports are looked for besides", multiple: true },
    json: { type: "boolean", about: "print the report as JSON" },
    output: { type: "string", value: "FILE", about: "write the report to a file" },
  },
  examples: [
    "npm run proto:check",
    "npm run proto:check -- --against main",
    "npm run -s proto:check -- ../other/proto --json --output report.json",
  ],
  exits: {
    1: "something was found",
    [EX_NOINPUT]: "there is no such file",
    [EX_CANTCREAT]: "the report cannot be written",
  },
  async run({ against, include, json, output }, path, terminal) {
    if (path !== "")
      await access(path).catch((error: Error) => Promise.reject(new CommandError(EX_NOINPUT, error.message)));
    const checks =
      path === "" ? await checkOwnContract(against) : await checkContract(path, { against, includes: include });
    const ok = checks.every((check) => check.ok);
    const text = json ? `${JSON.stringify({ ok, checks }, undefined, 2)}\n` : describe(checks, terminal);
    if (output === undefined) terminal.stdout.write(text);
    else
      await writeFile(output, text).catch((error: Error) =>
        Promise.reject(new CommandError(EX_CANTCREAT, error.message)),
      );
    return ok ? 0 : 1;
  },
});

function describe(checks: readonly ContractCheck[], terminal: Terminal): string {
  const lines = checks.flatMap(({ name, ok, findings }) => [
    `${ok ? paint(terminal, "green", "ok  ") : paint(terminal, "red", "FAIL")}  ${name}`,
    ...findings.map((finding) => `      ${placeOf(finding)}${finding.message} (${finding.rule})`),
  ]);
  return `${lines.join("\n")}\n`;
}

function placeOf({ file, line, column }: Finding): string {
  if (file === "") return "";
  return line === 0 ? `${file}: ` : `${file}:${line}:${column}: `;
}

const terminal = processTerminal();
try {
  const title = { program: "npm run", name: "proto:check --", summary: "check a contract" };
  process.exitCode = await command.run(process.argv.slice(2), terminal, title);
} catch (error) {
  if (!(error instanceof CommandError)) throw error;
  terminal.stderr.write(`${error.message}\n`);
  process.exitCode = error.exitCode;
}
