import { parseConfig, type TokenConfig } from "../config.ts";

/**
 * The key of the server's tokens and what they must hold, which the scripts read as the server does: from JWT_SECRET or
 * JWT_SECRET_FILE, JWT_ISSUER and JWT_AUDIENCE. Undefined if no key is configured.
 *
 * @throws ConfigError if one of them is wrong.
 */
export function readTokenKey(environment: NodeJS.ProcessEnv): TokenConfig | undefined {
  // The rest of the server's settings is not for scripts to judge.
  const { JWT_SECRET, JWT_SECRET_FILE, JWT_ISSUER, JWT_AUDIENCE } = environment;
  const { tokens } = parseConfig({ JWT_SECRET, JWT_SECRET_FILE, JWT_ISSUER, JWT_AUDIENCE }, []);
  return tokens?.ephemeral ? undefined : tokens;
}
