/**
 * Mints a token that a server with the same JWT_SECRET believes, for development.
 *
 *   npm run token -- --subject alice [--role user|admin|service] [--hours 24]
 *
 * Reads JWT_SECRET or JWT_SECRET_FILE, JWT_ISSUER and JWT_AUDIENCE as the server does. Prints the token alone, so that a
 * shell can take it.
 */
import { parseArgs } from "node:util";
import { ConfigError } from "../config.ts";
import { isPrincipalRole, PRINCIPAL_ROLES, type Principal } from "../domain/principal.ts";
import { EX_CONFIG, EX_USAGE, fail } from "../exit-codes.ts";
import { type SigningOptions, signToken } from "../interceptors/token.ts";
import { readTokenKey } from "./token-key.ts";

const SECONDS_PER_HOUR = 3600;
const MAX_HOURS = 24 * 365;

/** The arguments are wrong. */
class UsageError extends Error {
  override readonly name = "UsageError";
}

try {
  const { principal, hours } = readArguments(process.argv.slice(2));
  const token = await signToken(readKey(), principal, Math.ceil(hours * SECONDS_PER_HOUR));
  process.stdout.write(`${token}\n`);
} catch (error) {
  if (error instanceof UsageError) fail(EX_USAGE, error.message);
  else if (error instanceof ConfigError) fail(EX_CONFIG, error.message);
  else throw error;
}

function readArguments(args: string[]): { principal: Principal; hours: number } {
  const { subject, role, ...values } = parseOptions(args);
  const hours = Number(values.hours);
  if (!subject)
    throw new UsageError("--subject must name a user id or a service: npm run token -- --subject alice --role admin");
  if (!isPrincipalRole(role)) throw new UsageError(`--role must be one of ${PRINCIPAL_ROLES.join(", ")}`);
  if (!(hours > 0 && hours <= MAX_HOURS)) throw new UsageError(`--hours must be a number above 0, up to ${MAX_HOURS}`);
  return { principal: { id: subject, role }, hours };
}

function parseOptions(args: string[]) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        subject: { type: "string" },
        role: { type: "string", default: "user" },
        hours: { type: "string", default: "24" },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function readKey(): SigningOptions {
  const key = readTokenKey(process.env);
  if (key !== undefined) return key;
  throw new ConfigError([
    "JWT_SECRET: must be set, to the key of the server; a server without one prints its own token",
  ]);
}
