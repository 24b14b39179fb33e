/**
 * Makes a client of the service in another language.
 *
 *   npm run generate:clients -- --language python|go|node --output DIR [--force] [--json]
 *
 * The client is a package of its own: stubs, made from the contract; a small wrapper, written by hand in clients/; and
 * what the wrapper takes from the contract's policy. DIR must be empty or absent, unless --force is given, which writes
 * over files that are there and leaves all others alone. With --json, prints what was made, or why nothing was, as one
 * JSON object.
 */
import { access, constants, cp, mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { EX_CANTCREAT, EX_UNAVAILABLE, EX_USAGE, fail } from "../src/exit-codes.ts";
import type { Generator } from "./clients/generator.ts";
import { ToolchainError } from "./clients/toolchain.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

const GENERATORS: Readonly<Record<string, () => Promise<Generator>>> = {
  python: async () => (await import("./clients/python.ts")).generatePython,
  go: async () => (await import("./clients/go.ts")).generateGo,
  node: async () => (await import("./clients/node.ts")).generateNode,
};

const LANGUAGES = Object.keys(GENERATORS).join("|");
const USAGE = `usage: npm run generate:clients -- --language ${LANGUAGES} --output DIR [--force] [--json]`;

/** The arguments are wrong. */
class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The output cannot be written. */
class OutputError extends Error {
  override readonly name = "OutputError";
}

/** What was made. */
interface Result {
  readonly language: string;
  /** The folder, as an absolute path. */
  readonly output: string;
  /** The version of the client. */
  readonly version: string;
  /** The versions of the tools that made it. */
  readonly tools: Readonly<Record<string, string>>;
  /** The files that were written, as paths below `output`, sorted. */
  readonly files: readonly string[];
}

const json = process.argv.includes("--json");
try {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(`${USAGE}\n`);
  else report(await generate(readLanguage(options.language), readOutput(options.output), options.force));
} catch (error) {
  const status = error instanceof Error ? statusOf(error) : undefined;
  if (status === undefined) throw error;
  const { message } = error as Error;
  if (json) process.stdout.write(`${JSON.stringify({ error: message, status })}\n`);
  fail(status, message);
}

function parseOptions(args: string[]) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        language: { type: "string" },
        output: { type: "string" },
        force: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : error}\n${USAGE}`);
  }
}

function readLanguage(language = ""): string {
  if (Object.hasOwn(GENERATORS, language)) return language;
  throw new UsageError(`--language must be one of ${Object.keys(GENERATORS).join(", ")}\n${USAGE}`);
}

function readOutput(output = ""): string {
  if (output !== "") return resolve(output);
  throw new UsageError(`--output must name a directory\n${USAGE}`);
}

/** Makes a client aside, and puts it into its place only when it is complete. */
async function generate(language: string, output: string, force: boolean): Promise<Result> {
  await prepare(output, force);
  const generator = await GENERATORS[language]?.();
  const { version } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as { version: string };
  await mkdir(join(ROOT, "build/clients"), { recursive: true });
  const staging = await mkdtemp(join(ROOT, `build/clients/${language}-`));
  try {
    await cp(join(ROOT, "clients", language), staging, { recursive: true, filter: isSource });
    const tools = (await generator?.({ root: ROOT, output: staging, version })) ?? {};
    const files = await filesOf(staging);
    await cp(staging, output, { recursive: true });
    return { language, output, version, tools, files };
  } finally {
    await rm(staging, { recursive: true });
  }
}

async function prepare(output: string, force: boolean): Promise<void> {
  try {
    await mkdir(output, { recursive: true });
    await access(output, constants.W_OK);
    if (force || (await readdir(output)).length === 0) return;
  } catch (error) {
    throw new OutputError(`${output} cannot be written: ${error instanceof Error ? error.message : error}`);
  }
  throw new OutputError(`${output} is not empty: name another directory, or add --force to write over what is there`);
}

/** What tools of the languages leave behind is no part of a client. */
function isSource(path: string): boolean {
  return !/^(\.|__pycache__$|node_modules$)/.test(basename(path));
}

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  return files.map((file) => relative(folder, file)).sort();
}

function report(result: Result): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(result)}\n`);
    return;
  }
  const { language, output, files, tools } = result;
  const made = Object.entries(tools).map(([tool, version]) => `${tool} ${version}`);
  process.stdout.write(`${files.length} files of a ${language} client in ${output}, made by ${made.join(", ")}\n`);
}

function statusOf(error: Error): number | undefined {
  if (error instanceof UsageError) return EX_USAGE;
  if (error instanceof ToolchainError) return EX_UNAVAILABLE;
  return error instanceof OutputError ? EX_CANTCREAT : undefined;
}
