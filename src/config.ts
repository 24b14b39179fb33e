import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { z } from "zod";
import { SETTINGS, type Setting } from "./settings.ts";

/** How the process runs: checked and complete. */
export interface Config {
  readonly host: string;
  readonly port: number;
  /** How callers prove who they are; undefined if everybody acts as an admin. */
  readonly tokens: TokenConfig | undefined;
  /** At least 32 bytes. */
  readonly pageTokenKey: Uint8Array;
  readonly maxUsersPerCall: number;
  readonly logLevel: Values["LOG_LEVEL"] & string;
  /** Undefined: pretty on a terminal, json otherwise. */
  readonly logFormat: Values["LOG_FORMAT"];
  readonly shutdownDelayMs: number;
  readonly shutdownTimeoutMs: number;
}

/** Which tokens are believed. */
export interface TokenConfig {
  /** At least 32 bytes. */
  readonly secret: Uint8Array;
  /** Whether the secret was made for this run, because none is configured. */
  readonly ephemeral: boolean;
  /** Undefined: any. */
  readonly issuer: string | undefined;
  /** Undefined: any. */
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
const KEY_BYTES = 32;

/**
 * Reads the configuration from the environment and from command-line flags, which go first: `--port 0` overrides PORT. An
 * empty value counts as absent. Secrets have no flags, which other processes could see, but their _FILE variants do.
 *
 * @throws ConfigError with all faults at once.
 */
export function parseConfig(environment: Texts, args: readonly string[]): Config {
  const faults: string[] = [];
  const flags = parseFlags(args, faults);
  const texts: Texts = { ...environment, ...flags };
  const values = Object.fromEntries(NAMES.map((name) => [name, parseValue(name, texts, faults)])) as Values;
  const config = complete(values, faults);
  if (faults.length > 0) throw new ConfigError(faults);
  return config;
}

function parseFlags(args: readonly string[], faults: string[]): Texts {
  const variables = NAMES.map((name) => (isSecret(name) ? `${name}_FILE` : name));
  const flags = new Map(variables.map((variable) => [variable.toLowerCase().replaceAll("_", "-"), variable]));
  const options = Object.fromEntries([...flags.keys()].map((flag) => [flag, { type: "string" } as const]));
  try {
    const { values } = parseArgs({ args: [...args], options });
    return Object.fromEntries(Object.entries(values).map(([flag, text]) => [flags.get(flag) ?? flag, String(text)]));
  } catch (error) {
    faults.push(error instanceof Error ? error.message : String(error));
    return {};
  }
}

function parseValue(name: Name, texts: Texts, faults: string[]): unknown {
  const { allowed, fallback, schema }: Setting = SETTINGS[name];
  const text = texts[name] || readSecret(name, texts, faults) || fallback;
  if (text === undefined) return undefined;
  const result = schema.safeParse(text);
  if (result.success) return result.data;
  faults.push(`${name}${isSecret(name) ? "" : `=${JSON.stringify(text)}`}: must be ${allowed}`);
  return undefined;
}

function readSecret(name: Name, texts: Texts, faults: string[]): string | undefined {
  const path = isSecret(name) && texts[`${name}_FILE`];
  if (!path) return undefined;
  try {
    // Editors end a file with a line break that is not part of the secret.
    return readFileSync(path, "utf8").replace(/\r?\n$/, "");
  } catch (error) {
    const why = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    faults.push(`${name}_FILE=${JSON.stringify(path)}: must be a readable file (${why})`);
    return undefined;
  }
}

function isSecret(name: Name): boolean {
  const { secret }: Setting = SETTINGS[name];
  return secret === true;
}

function complete(values: Values, faults: string[]): Config {
  const production = values.NODE_ENV === "production";
  if (production && values.AUTH === "none" && values.ALLOW_INSECURE !== true) {
    faults.push('AUTH="none": must be jwt with NODE_ENV=production, unless ALLOW_INSECURE=true');
  }
  if (production && values.AUTH === "jwt" && values.JWT_SECRET === undefined) {
    faults.push("JWT_SECRET: must be set with NODE_ENV=production");
  }
  return {
    host: values.HOST ?? "",
    port: values.PORT ?? 0,
    tokens: values.AUTH === "none" ? undefined : toTokenConfig(values),
    pageTokenKey: values.PAGE_TOKEN_KEY ?? randomBytes(KEY_BYTES),
    maxUsersPerCall: values.MAX_USERS_PER_CALL ?? 0,
    logLevel: values.LOG_LEVEL ?? "info",
    logFormat: values.LOG_FORMAT,
    shutdownDelayMs: values.SHUTDOWN_DELAY ?? 0,
    shutdownTimeoutMs: values.SHUTDOWN_TIMEOUT ?? 0,
  };
}

function toTokenConfig({ JWT_SECRET, JWT_ISSUER, JWT_AUDIENCE }: Values): TokenConfig {
  return {
    secret: JWT_SECRET ?? randomBytes(KEY_BYTES),
    ephemeral: JWT_SECRET === undefined,
    issuer: JWT_ISSUER,
    audience: JWT_AUDIENCE,
  };
}
