import { EX_USAGE } from "../exit-codes.ts";

/** What the help of a command tells. */
interface Described {
  /** What goes before the name. */
  readonly program?: string;
  readonly name: string;
  readonly summary: string;
  readonly about?: string;
  readonly operand?: { readonly name: string; readonly about: string; readonly optional?: true };
  readonly options: Readonly<Record<string, DescribedOption>>;
  readonly examples: readonly string[];
  readonly exits: Readonly<Record<number, string>>;
}

interface DescribedOption {
  readonly about: string;
  readonly value?: string;
  readonly variable?: string;
  readonly default?: string;
  readonly multiple?: true;
}

/** The help of the command as a whole. */
export function overviewHelp(commands: readonly { readonly name: string; readonly summary: string }[]): string {
  return [
    "usage: user-service COMMAND [ARGUMENTS]",
    "",
    ...table(commands.map(({ name, summary }) => [name, summary])),
    "",
    "  user-service COMMAND --help  tells more about one",
    "  user-service --version       tells which release it is",
    "",
  ].join("\n");
}

/** The help of one command: usage, options, examples and exit statuses. */
export function commandHelp({
  program = "user-service",
  name,
  summary,
  about,
  operand,
  options,
  examples,
  exits,
}: Described): string {
  const rows = Object.entries(options).map(([option, each]) => [usageOf(option, each), aboutOf(each)] as const);
  const placeholder = operand?.optional ? `[${operand.name}]` : operand?.name;
  const arguments_ = operand === undefined ? [] : [[operand.name, operand.about] as const];
  return [
    `usage: ${[program, name, placeholder, "[OPTIONS]"].filter((part) => part !== undefined).join(" ")}`,
    "",
    `${sentence(summary)}${about === undefined ? "" : ` ${about}`}`,
    "",
    ...table([...arguments_, ...rows, ["-h, --help", "show this"]]),
    "",
    "Examples:",
    ...examples.map((example) => `  ${example}`),
    "",
    "Exit status:",
    ...table(Object.entries({ 0: "done", [EX_USAGE]: "the arguments are wrong", ...exits })),
    "",
  ].join("\n");
}

function usageOf(name: string, { value }: DescribedOption): string {
  return value === undefined ? `--${name}` : `--${name} ${value}`;
}

function aboutOf({ about, variable, multiple, ...option }: DescribedOption): string {
  const facts = [
    ...(multiple ? ["may be repeated"] : []),
    ...(variable === undefined ? [] : [`or ${variable}`]),
    ...(option.default === undefined ? [] : [`default: ${option.default}`]),
  ];
  return facts.length === 0 ? about : `${about} (${facts.join("; ")})`;
}

function table(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}

function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}
