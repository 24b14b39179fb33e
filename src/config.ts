import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import type { z } from "zod";
import { type AuthenticationConfig, toAuthenticationConfig, unreadable } from "./authentication-config.ts";
import type { ConnectionLimits } from "./grpc/connection-limits.ts";
import type { TlsOptions } from "./grpc/tls.ts";
import type { ChangeRetention } from "./repository/change-log.ts";
import type { ChatRetention } from "./repository/chat-rooms.ts";
import type { Setting } from "./setting-schemas.ts";
import { SETTINGS } from "./settings.ts";
import { toTlsOptions } from "./tls-config.ts";

/** How the process runs: checked and complete. */
export interface Config {
  readonly host: string;
  readonly port: number;
  /** Undefined if there is to be none. */
  readonly gateway: GatewayConfig | undefined;
  /** How callers prove who they are; undefined if everybody acts as an admin. */
  readonly authentication: AuthenticationConfig | undefined;
  /** How connections are secured; undefined for plain text. */
  readonly tls: TlsOptions | undefined;
  /** At least 32 bytes; undefined if one is to be made. */
  readonly pageTokenKey: Uint8Array | undefined;
  /** Where the users are kept; undefined for memory. */
  readonly database: DatabaseConfig | undefined;
  readonly changeRetention: ChangeRetention;
  readonly chatRetention: ChatRetention;
  readonly maxUsersPerCall: number;
  readonly spooling: SpoolConfig;
  readonly load: LoadConfig;
  readonly connections: ConnectionLimits;
  /** What compressed requests may take while they are decompressed. */
  readonly maxDecompressionBytes: number;
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

/** How much is done for whom, and for all together. */
export interface LoadConfig {
  /** Calls a second of one caller; 0 for any number. */
  readonly perCaller: number;
  /** Calls a second from one address; 0 for any number. */
  readonly perAddress: number;
  /** Milliseconds for which calls that were not made can be saved up. */
  readonly burstMs: number;
  /** 0 for any number. */
  readonly maxCallsInFlight: number;
  /** 0 for any number. */
  readonly maxLiveStreams: number;
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

/** What is wrong: the first fault of each setting or argument (by its position), for others may follow from it. */
class Faults {
  readonly #first = new Map<Name | number, string>();

  add(where: Name | number, fault: string): void {
    if (!this.#first.has(where)) this.#first.set(where, fault);
  }

  has(where: Name | number): boolean {
    return this.#first.has(where);
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
    faults.add(name, `${name}_FILE=${JSON.stringify(path)}: ${unreadable(error)}`);
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
  return {
    host: values.HOST ?? "",
    port: values.PORT ?? 0,
    gateway:
      values.HTTP_PORT === undefined ? undefined : { port: values.HTTP_PORT, origins: values.CORS_ORIGINS ?? [] },
    authentication: values.AUTH === "none" ? undefined : toAuthenticationConfig(values, production, faults),
    tls: toTlsOptions(values, (name, fault) => faults.add(name, fault)),
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
    load: {
      perCaller: values.RATE_LIMIT_PER_CALLER ?? 0,
      perAddress: values.RATE_LIMIT_PER_ADDRESS ?? 0,
      burstMs: values.RATE_LIMIT_BURST ?? 0,
      maxCallsInFlight: values.MAX_CALLS_IN_FLIGHT ?? 0,
      maxLiveStreams: values.MAX_LIVE_STREAMS ?? 0,
    },
    connections: toConnectionLimits(values),
    maxDecompressionBytes: values.MAX_DECOMPRESSION_BYTES ?? 0,
    logLevel: values.LOG_LEVEL ?? "info",
    logFormat: values.LOG_FORMAT,
    shutdownDelayMs: values.SHUTDOWN_DELAY ?? 0,
    shutdownTimeoutMs: values.SHUTDOWN_TIMEOUT ?? 0,
  };
}

function toConnectionLimits(values: Values): ConnectionLimits {
  return {
    maxConnections: values.MAX_CONNECTIONS ?? 0,
    maxPerAddress: values.MAX_CONNECTIONS_PER_ADDRESS ?? 0,
    maxConcurrentStreams: values.MAX_CONCURRENT_STREAMS ?? 1,
    firstRequestTimeoutMs: values.FIRST_REQUEST_TIMEOUT ?? 0,
    idleTimeoutMs: values.CONNECTION_IDLE_TIMEOUT ?? 0,
    maxAgeMs: values.MAX_CONNECTION_AGE ?? 0,
    keepaliveTimeMs: values.KEEPALIVE_TIME ?? 0,
    keepaliveTimeoutMs: values.KEEPALIVE_TIMEOUT ?? 1,
    maxControlFrames: values.MAX_CONTROL_FRAMES ?? 0,
    maxInstantCancels: values.MAX_INSTANT_CANCELS ?? 0,
    shedsConnections: values.SHED_CONNECTIONS === "on",
    maxHeaderListSize: values.MAX_HEADER_LIST_SIZE ?? 0,
  };
}

function toDatabaseConfig({ DATABASE_URL, DATABASE_POOL_SIZE }: Values): DatabaseConfig | undefined {
  return DATABASE_URL === undefined ? undefined : { url: DATABASE_URL, poolSize: DATABASE_POOL_SIZE ?? 1 };
}
