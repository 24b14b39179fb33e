import { parseArgs } from "node:util";
import { EX_USAGE } from "../exit-codes.ts";
import { commandHelp } from "./help.ts";
import type { Terminal } from "./terminal.ts";

/** One option of a command. */
export interface Option {
  readonly type: "string" | "boolean";
  /** What it decides, for the help. */
  readonly about: string;
  /** What stands for its value in the help. */
  readonly value?: string;
  /** The environment variable that is read in its place. */
  readonly variable?: string;
  readonly default?: string;
  /** May be given several times. */
  readonly multiple?: true;
}

/** Options by their names. */
export type Options = Readonly<Record<string, Option>>;

type ValueOf<O extends Option> = O["type"] extends "boolean"
  ? boolean
  : O extends { multiple: true }
    ? readonly string[]
    : O extends { default: string }
      ? string
      : string | undefined;

/** What was given for some options. */
export type Values<S extends Options> = { readonly [K in keyof S]: ValueOf<S[K]> };

/** An argument that is no option. */
export interface Operand {
  readonly name: string;
  readonly about: string;
  readonly optional?: true;
}

/** A command as it is written down. */
export interface CommandSpec<S extends Options> {
  /** What there is to know besides its summary. */
  readonly about?: string;
  /** The argument that is no option, if it takes one. It must be given, unless it is optional. */
  readonly operand?: Operand;
  readonly options: S;
  readonly examples: readonly string[];
  /** What its exit statuses mean, beside 0 and EX_USAGE. */
  readonly exits: Readonly<Record<number, string>>;
  /** Does it. Returns the exit status. */
  run(values: Values<S>, operand: string, terminal: Terminal): Promise<number>;
}

/** What a command is called, and does, in one line. */
export interface CommandTitle {
  /** What goes before its name; `user-service` unless told. */
  readonly program?: string;
  readonly name: string;
  readonly summary: string;
}

/** A command that can be run. */
export interface Command {
  /**
   * Runs it, and returns the exit status. The title is for its help.
   *
   * @throws CommandError if it cannot be done.
   */
  run(args: readonly string[], terminal: Terminal, title: CommandTitle): Promise<number>;
}

/** Why a command ends early, for the user. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The arguments are wrong. */
export class UsageError extends CommandError {
  constructor(message: string) {
    super(EX_USAGE, message);
  }
}

/** Makes a command of what it takes and does. `--help` and wrong arguments are taken care of. */
export function defineCommand<const S extends Options>(spec: CommandSpec<S>): Command {
  return {
    async run(args, terminal, title) {
      const { values, positionals } = parse(spec, args);
      if (values.help === true) {
        terminal.stdout.write(commandHelp({ ...title, ...spec }));
        return 0;
      }
      const [operand = ""] = positionals;
      if (spec.operand !== undefined && !spec.operand.optional && operand === "")
        throw new UsageError(`${spec.operand.name} is missing`);
      if (positionals.length > (spec.operand === undefined ? 0 : 1)) {
        throw new UsageError(`there is an argument too many: ${positionals.at(-1)}`);
      }
      return spec.run(complete(spec.options, values, terminal.environment), operand, terminal);
    },
  };
}

function parse({ options }: { readonly options: Options }, args: readonly string[]) {
  const config = Object.entries(options).map(
    ([name, { type, multiple = false }]) => [name, { type, multiple }] as const,
  );
  const help = { type: "boolean", short: "h" } as const;
  try {
    return parseArgs({ args: [...args], options: { ...Object.fromEntries(config), help }, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function complete<S extends Options>(
  options: S,
  given: Readonly<Record<string, unknown>>,
  environment: NodeJS.ProcessEnv,
): Values<S> {
  const values = Object.entries(options).map(([name, option]) => {
    const fromEnvironment = option.variable === undefined ? undefined : environment[option.variable] || undefined;
    const fallback = option.type === "boolean" ? false : option.multiple ? [] : undefined;
    return [name, given[name] ?? fromEnvironment ?? option.default ?? fallback];
  });
  // The types follow from the options.
  return Object.fromEntries(values) as Values<S>;
}
