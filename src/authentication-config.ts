import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import type { JWK } from "jose";
import { readPublicKeys, UnfitKeyError } from "./interceptors/public-keys.ts";
import type { SigningOptions, TokenClaims } from "./interceptors/token.ts";
import type { KeySource } from "./interceptors/token-keys.ts";

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

/** The values of the settings that this is about, each as its schema has made it. */
interface Values {
  readonly JWT_SECRET: Uint8Array | undefined;
  readonly JWT_PUBLIC_KEY_FILE: string | undefined;
  readonly JWT_JWKS_URL: URL | undefined;
  readonly JWT_ISSUER: string | undefined;
  readonly JWT_AUDIENCE: string | undefined;
  readonly TLS_CLIENT_CA_FILE: string | undefined;
  readonly TLS_CLIENT_IDENTITIES: ReadonlyMap<string, string> | undefined;
  readonly ALLOW_INSECURE: boolean | undefined;
}

/** Of which one says where the keys of tokens come from. */
const KEY_SETTINGS = ["JWT_SECRET", "JWT_PUBLIC_KEY_FILE", "JWT_JWKS_URL"] as const;

type Faulty = (typeof KEY_SETTINGS)[number] | "TLS_CLIENT_IDENTITIES";

/** What is wrong so far. */
interface Faults {
  add(setting: Faulty, fault: string): void;
  has(setting: Faulty): boolean;
}

const KEY_BYTES = 32;
/** Hosts, as URL writes them, to which nobody else can listen. */
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * Finds the keys of tokens, makes one if there is none and `production` does not forbid it, and reports what is wrong.
 */
export function toAuthenticationConfig(values: Values, production: boolean, faults: Faults): AuthenticationConfig {
  const services = values.TLS_CLIENT_IDENTITIES ?? new Map<string, string>();
  if (services.size > 0 && values.TLS_CLIENT_CA_FILE === undefined)
    faults.add("TLS_CLIENT_IDENTITIES", "TLS_CLIENT_IDENTITIES: must be set with TLS_CLIENT_CA_FILE only");
  const claims = { issuer: values.JWT_ISSUER, audience: values.JWT_AUDIENCE };
  const source = toKeySource(values, faults);
  if (source !== undefined) return { tokens: { source, ephemeral: false, ...claims }, services };
  if (production && services.size > 0) return { tokens: undefined, services };

  if (production && !KEY_SETTINGS.some((key) => faults.has(key))) {
    const others = "or JWT_PUBLIC_KEY_FILE, JWT_JWKS_URL or TLS_CLIENT_IDENTITIES";
    faults.add("JWT_SECRET", `JWT_SECRET: must be set with NODE_ENV=production, ${others}`);
  }
  return {
    tokens: { source: { kind: "secret", secret: randomBytes(KEY_BYTES) }, ephemeral: true, ...claims },
    services,
  };
}

function toKeySource(values: Values, faults: Faults): KeySource | undefined {
  const [name, another] = KEY_SETTINGS.filter((key) => values[key] !== undefined);
  if (another !== undefined) faults.add(another, `${another}: must not be set beside ${name}`);
  const { JWT_SECRET: secret, JWT_PUBLIC_KEY_FILE: path, JWT_JWKS_URL: url, ALLOW_INSECURE } = values;
  if (secret !== undefined) return { kind: "secret", secret };
  if (path !== undefined) return { kind: "public", keys: readKeyFile(path, faults) };
  if (url === undefined) return undefined;

  if (url.protocol === "http:" && !LOOPBACK.test(url.hostname) && ALLOW_INSECURE !== true) {
    const rule = "must be https, unless its host is this one or ALLOW_INSECURE=true";
    faults.add("JWT_JWKS_URL", `JWT_JWKS_URL=${JSON.stringify(url.href)}: ${rule}`);
  }
  return { kind: "remote", url };
}

function readKeyFile(path: string, faults: Faults): JWK[] {
  try {
    return readPublicKeys(readFileSync(path, "utf8"));
  } catch (error) {
    const fault = error instanceof UnfitKeyError ? error.message : unreadable(error);
    faults.add("JWT_PUBLIC_KEY_FILE", `JWT_PUBLIC_KEY_FILE=${JSON.stringify(path)}: ${fault}`);
    return [];
  }
}

/** The fault of a file that cannot be read. */
export function unreadable(error: unknown): string {
  const why = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
  return `must be a readable file (${why})`;
}
