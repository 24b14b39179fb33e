/**
 * Mints a token that a server with the same JWT_SECRET believes, for development.
 *
 *   npm run token -- --subject alice [--role user|admin|service] [--hours 24]
 *
 * Reads JWT_SECRET, JWT_ISSUER and JWT_AUDIENCE as the server does. Prints the token alone, so that a shell can take it.
 */
import { parseArgs } from "node:util";
import { ConfigError, parseConfig, type TokenConfig } from "../config.ts";
import { isPrincipalRole, PRINCIPAL_ROLES, type Principal } from "../domain/principal.ts";
import { signToken } from "../interceptors/token.ts";

/** Exit status of wrong arguments (EX_USAGE of sysexits.h). */
const EX_USAGE = 64;
/** Exit status of a configuration error (EX_CONFIG of sysexits.h). */
const EX_CONFIG = 78;

const SECONDS_PER_HOUR = 3600;
const MAX_HOURS = 24 * 365;

try {
  const { principal, hours } = readArguments(process.argv.slice(2));
  const token = await signToken(readKey(), principal, Math.ceil(hours * SECONDS_PER_HOUR));
  process.stdout.write(`${token}\n`);
} catch (error) {
  if (!(error instanceof Error)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error instanceof ConfigError ? EX_CONFIG : EX_USAGE;
}

function readArguments(args: string[]): { principal: Principal; hours: number } {
  const { values } = parseArgs({
    args,
    options: {
      subject: { type: "string" },
      role: { type: "string", default: "user" },
      hours: { type: "string", default: "24" },
    },
  });
  const { subject, role } = values;
  const hours = Number(values.hours);
  if (!subject)
    throw new Error("--subject must name a user id or a service: npm run token -- --subject alice --role admin");
  if (!isPrincipalRole(role)) throw new Error(`--role must be one of ${PRINCIPAL_ROLES.join(", ")}`);
  if (!(hours > 0 && hours <= MAX_HOURS)) throw new Error(`--hours must be a number above 0, up to ${MAX_HOURS}`);
  return { principal: { id: subject, role }, hours };
}

function readKey(): TokenConfig {
  const { tokens } = parseConfig({ ...process.env, AUTH: "jwt" }, []);
  if (tokens !== undefined && !tokens.ephemeral) return tokens;
  throw new ConfigError([
    "JWT_SECRET: must be set, to the key of the server; a server without one prints its own token",
  ]);
}
