import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import type { z } from "zod";
import type { ChangeRetention } from "./repository/change-log.ts";
import type { ChatRetention } from "./repository/chat-rooms.ts";
import { SETTINGS, type Setting } from "./settings.ts";

/** How the process runs: checked and complete. */
export interface Config {
  readonly host: string;
  readonly port: number;
  /** Undefined if there is to be none. */
  readonly gateway: GatewayConfig | undefined;
  /** How callers prove who they are; undefined if everybody acts as an admin. */
  readonly tokens: TokenConfig | undefined;
  /** At least 32 bytes; undefined if one is to be made. */
  readonly pageTokenKey: Uint8Array | undefined;
  /** Where the users are kept; undefined for memory. */
  readonly database: DatabaseConfig | undefined;
  readonly changeRetention: ChangeRetention;
  readonly chatRetention: ChatRetention;
  readonly maxUsersPerCall: number;
  readonly spooling: SpoolConfig;
  readonly logLevel: Values["LOG_LEVEL"] & string;
  /** Undefined: pretty on a terminal, json otherwise. */
  readonly logFormat: Values["LOG_FORMAT"];
  readonly shutdownDelayMs: number;
  readonly shutdownTimeoutMs: number;
}

/** How browsers and curl reach the service. */
export interface GatewayConfig {
  readonly port: number;
  /** The origins of the pages whose scripts may call; `*` for all. */
  readonly origins: readonly string[];
}

/** How the database is reached. */
export interface DatabaseConfig {
  /** Holds a password, as a rule. */
  readonly url: string;
  /** How many connections calls may use at a time. */
  readonly poolSize: number;
}

/** How uploaded files are kept while they are imported. */
export interface SpoolConfig {
  readonly directory: string;
  /** The size of the largest file. */
  readonly maxBytes: number;
}

/** Which tokens are believed. */
export interface TokenConfig {
  /** At least 32 bytes. */
  readonly secret: Uint8Array;
  /** Whether the secret was made for this run, because none is configured. */
  readonly ephemeral: boolean;
  /** Undefined: not checked. */
  readonly issuer: string | undefined;
  /** Undefined: not checked. */
  readonly audience: string | undefined;
}

/** The configuration is wrong. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  /** All that is wrong: one line each, with variable, value (never a secret) and allowed range. */
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(`the configuration is wrong: ${faults.join("; ")}`);
    this.faults = faults;
  }
}

type Name = keyof typeof SETTINGS;
type Values = { readonly [N in Name]: z.output<(typeof SETTINGS)[N]["schema"]> | undefined };
type Texts = Readonly<Record<string, string | undefined>>;

const NAMES = Object.keys(SETTINGS) as Name[];
const FLAGS = new Map(NAMES.map((name) => [flagVariable(name).toLowerCase().replaceAll("_", "-"), name]));
const KEY_BYTES = 32;

/** What is wrong: the first fault of each setting or argument (by its position), for others may follow from it. */
class Faults {
  readonly #first = new Map<Name | number, string>();

  add(where: Name | number, fault: string): void {
    if (!this.#first.has(where)) this.#first.set(where, fault);
  }

  list(): string[] {
    return [...this.#first.values()];
  }
}

/**
 * Reads the configuration from command-line flags and from the environment, of which the flags go first: `--port 0`
 * overrides PORT. An empty value counts as absent. Secrets have no flags, which other processes could see, but their
 * _FILE variants do.
 *
 * @throws ConfigError with all faults at once.
 */
export function parseConfig(environment: Texts, args: readonly string[]): Config {
  const faults = new Faults();
  const sources = [parseFlags(args, faults), environment];
  const values = Object.fromEntries(NAMES.map((name) => [name, parseValue(name, sources, faults)])) as Values;
  const config = complete(values, faults);
  const found = faults.list();
  if (found.length > 0) throw new ConfigError(found);
  return config;
}

/** The address of a host and a port, as gRPC writes it. */
export function toAddress({ host, port }: Pick<Config, "host" | "port">): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The variables that the flags stand for. Arguments that are no flags are not shown: they may be secrets. */
function parseFlags(args: readonly string[], faults: Faults): Texts {
  const options = Object.fromEntries([...FLAGS.keys()].map((flag) => [flag, { type: "string" } as const]));
  const { tokens } = parseArgs({ args: [...args], options, strict: false, tokens: true });
  const texts: Record<string, string> = {};
  for (const token of tokens) {
    const position = token.index + 1;
    if (token.kind === "positional") faults.add(position, `Unexpected argument at position ${position}`);
    if (token.kind !== "option") continue;

    const { name: flag, rawName, value, inlineValue } = token;
    const name = FLAGS.get(flag);
    if (name === undefined) faults.add(position, `Unknown option '${rawName}'`);
    else if (value === undefined || (!inlineValue && value.startsWith("-")))
      faults.add(name, `Option '${rawName}' needs a value`);
    else texts[flagVariable(name)] = value;
  }
  return texts;
}

function parseValue(name: Name, sources: readonly Texts[], faults: Faults): unknown {
  const { allowed, fallback, schema }: Setting = SETTINGS[name];
  const text = findText(name, sources, faults) ?? fallback;
  if (text === undefined) return undefined;
  const result = schema.safeParse(text);
  if (result.success) return result.data;
  faults.add(name, `${name}${isSecret(name) ? "" : `=${JSON.stringify(text)}`}: must be ${allowed}`);
  return undefined;
}

/** What the first source says that has the setting. */
function findText(name: Name, sources: readonly Texts[], faults: Faults): string | undefined {
  for (const source of sources) {
    const text = source[name];
    const path = isSecret(name) ? source[`${name}_FILE`] : undefined;
    if (text && path) faults.add(name, `set one of ${name} and ${name}_FILE, not both`);
    if (text) return text;
    if (path) return readSecret(name, path, faults);
  }
  return undefined;
}

function readSecret(name: Name, path: string, faults: Faults): string | undefined {
  try {
    // Editors end a file with a line break that is not part of the secret.
    return readFileSync(path, "utf8").replace(/\r?\n$/, "");
  } catch (error) {
    const why = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    faults.add(name, `${name}_FILE=${JSON.stringify(path)}: must be a readable file (${why})`);
    return undefined;
  }
}

/** The variable that the flag of a setting sets. */
function flagVariable(name: Name): string {
  return isSecret(name) ? `${name}_FILE` : name;
}

function isSecret(name: Name): boolean {
  const { secret }: Setting = SETTINGS[name];
  return secret === true;
}

function complete(values: Values, faults: Faults): Config {
  const production = values.NODE_ENV === "production";
  if (production && values.AUTH === "none" && values.ALLOW_INSECURE !== true) {
    faults.add("AUTH", 'AUTH="none": must be jwt with NODE_ENV=production, unless ALLOW_INSECURE=true');
  }
  if (production && values.AUTH === "jwt" && values.JWT_SECRET === undefined) {
    faults.add("JWT_SECRET", "JWT_SECRET: must be set with NODE_ENV=production");
  }
  return {
    host: values.HOST ?? "",
    port: values.PORT ?? 0,
    gateway:
      values.HTTP_PORT === undefined ? undefined : { port: values.HTTP_PORT, origins: values.CORS_ORIGINS ?? [] },
    tokens: values.AUTH === "none" ? undefined : toTokenConfig(values),
    pageTokenKey: values.PAGE_TOKEN_KEY,
    database: toDatabaseConfig(values),
    changeRetention: {
      maxCount: values.CHANGE_LOG_MAX_COUNT ?? 0,
      maxAgeMs: values.CHANGE_LOG_MAX_AGE ?? 0,
    },
    chatRetention: {
      maxCount: values.CHAT_HISTORY_MAX_COUNT ?? 0,
      maxAgeMs: values.CHAT_HISTORY_MAX_AGE ?? 0,
    },
    maxUsersPerCall: values.MAX_USERS_PER_CALL ?? 0,
    spooling: { directory: values.UPLOAD_DIRECTORY ?? tmpdir(), maxBytes: values.UPLOAD_MAX_BYTES ?? 0 },
    logLevel: values.LOG_LEVEL ?? "info",
    logFormat: values.LOG_FORMAT,
    shutdownDelayMs: values.SHUTDOWN_DELAY ?? 0,
    shutdownTimeoutMs: values.SHUTDOWN_TIMEOUT ?? 0,
  };
}

function toDatabaseConfig({ DATABASE_URL, DATABASE_POOL_SIZE }: Values): DatabaseConfig | undefined {
  return DATABASE_URL === undefined ? undefined : { url: DATABASE_URL, poolSize: DATABASE_POOL_SIZE ?? 1 };
}

function toTokenConfig({ JWT_SECRET, JWT_ISSUER, JWT_AUDIENCE }: Values): TokenConfig {
  return {
    secret: JWT_SECRET ?? randomBytes(KEY_BYTES),
    ephemeral: JWT_SECRET === undefined,
    issuer: JWT_ISSUER,
    audience: JWT_AUDIENCE,
  };
}
