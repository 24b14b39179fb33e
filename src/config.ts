import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import type { JWK } from "jose";
import type { z } from "zod";
import { readPublicKeys, UnfitKeyError } from "./interceptors/public-keys.ts";
import type { SigningOptions, TokenClaims } from "./interceptors/token.ts";
import type { KeySource } from "./interceptors/token-keys.ts";
import type { ChangeRetention } from "./repository/change-log.ts";
import type { ChatRetention } from "./repository/chat-rooms.ts";
import { SETTINGS, type Setting } from "./settings.ts";
import { type TlsConfig, toTlsConfig } from "./tls-config.ts";

/** How the process runs: checked and complete. */
export interface Config {
  readonly host: string;
  readonly port: number;
  /** How callers prove who they are; undefined if everybody acts as an admin. */
  readonly authentication: AuthenticationConfig | undefined;
  /** How connections are secured; undefined for plain text. */
  readonly tls: TlsConfig | undefined;
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

/** How callers prove who they are. */
export interface AuthenticationConfig {
  /** Which tokens are believed; undefined for none. */
  readonly tokens: TokenConfig | undefined;
  /** The names of services by what their certificates say; see byCertificate. */
  readonly services: ReadonlyMap<string, string>;
}

/** Which tokens are believed. */
export interface TokenConfig extends TokenClaims {
  readonly source: KeySource;
  /** Whether the key was made for this run, because none is configured. */
  readonly ephemeral: boolean;
}

/** What makes tokens that are believed; undefined if only somebody else can make them. */
export function signingOptions({ source, issuer, audience }: TokenConfig): SigningOptions | undefined {
  return source.kind === "secret" ? { secret: source.secret, issuer, audience } : undefined;
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
    // Editors end a file with a line break that is not part of the secret.
    if (path) return readText(name, `${name}_FILE`, path, faults)?.replace(/\r?\n$/, "");
  }
  return undefined;
}

/** The text of the file that a variable names. */
function readText(name: Name, variable: string, path: string, faults: Faults): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const why = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    faults.add(name, `${variable}=${JSON.stringify(path)}: must be a readable file (${why})`);
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
    authentication: values.AUTH === "none" ? undefined : toAuthentication(values, production, faults),
    tls: toTlsConfig(values, (name, fault) => faults.add(name, fault)),
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

/** The settings of which one says where the keys of tokens come from. */
const KEY_SETTINGS = ["JWT_SECRET", "JWT_PUBLIC_KEY_FILE", "JWT_JWKS_URL"] as const;

function toAuthentication(values: Values, production: boolean, faults: Faults): AuthenticationConfig {
  const services = values.TLS_CLIENT_IDENTITIES ?? new Map<string, string>();
  const [name, another] = KEY_SETTINGS.filter((key) => values[key] !== undefined);
  if (another !== undefined) faults.add(another, `${another}: must not be set beside ${name}`);
  const claims = { issuer: values.JWT_ISSUER, audience: values.JWT_AUDIENCE };
  if (name !== undefined) {
    const source = toKeySource(values, faults);
    return { tokens: { source, ephemeral: false, ...claims }, services };
  }
  if (production && services.size > 0) return { tokens: undefined, services };
  if (production && !KEY_SETTINGS.some((key) => faults.has(key))) {
    const others = "or JWT_PUBLIC_KEY_FILE, JWT_JWKS_URL or TLS_CLIENT_IDENTITIES";
    faults.add("JWT_SECRET", `JWT_SECRET: must be set with NODE_ENV=production, ${others}`);
  }
  const source: KeySource = { kind: "secret", secret: randomBytes(KEY_BYTES) };
  return { tokens: { source, ephemeral: true, ...claims }, services };
}

function toKeySource(
  { JWT_SECRET, JWT_JWKS_URL, JWT_PUBLIC_KEY_FILE, ALLOW_INSECURE }: Values,
  faults: Faults,
): KeySource {
  if (JWT_SECRET !== undefined) return { kind: "secret", secret: JWT_SECRET };
  if (JWT_JWKS_URL === undefined) return { kind: "public", keys: readKeyFile(JWT_PUBLIC_KEY_FILE ?? "", faults) };
  const plain = JWT_JWKS_URL.protocol === "http:" && !LOOPBACK.test(JWT_JWKS_URL.hostname);
  if (plain && ALLOW_INSECURE !== true) {
    const rule = "must be https, unless its host is this one or ALLOW_INSECURE=true";
    faults.add("JWT_JWKS_URL", `JWT_JWKS_URL=${JSON.stringify(JWT_JWKS_URL.href)}: ${rule}`);
  }
  return { kind: "remote", url: JWT_JWKS_URL };
}

/** Hosts, as URL writes them, to which nobody else can listen. */
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

function readKeyFile(path: string, faults: Faults): JWK[] {
  const name = "JWT_PUBLIC_KEY_FILE";
  const text = readText(name, name, path, faults);
  try {
    return text === undefined ? [] : readPublicKeys(text);
  } catch (error) {
    if (!(error instanceof UnfitKeyError)) throw error;
    faults.add(name, `${name}=${JSON.stringify(path)}: ${error.message}`);
    return [];
  }
}
