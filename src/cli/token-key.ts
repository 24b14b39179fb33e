import { signingOptions } from "../authentication-config.ts";
import { ConfigError, parseConfig } from "../config.ts";
import { EX_CONFIG } from "../exit-codes.ts";
import type { SigningOptions } from "../interceptors/token.ts";
import { CommandError } from "./command.ts";

/** Settings of keys with which tokens can be verified, but not made. */
const PUBLIC_KEYS = ["JWT_PUBLIC_KEY_FILE", "JWT_JWKS_URL"] as const;

/**
 * The key of the server's tokens and what they must hold, which commands read as the server does: from JWT_SECRET or
 * JWT_SECRET_FILE, JWT_ISSUER and JWT_AUDIENCE. Undefined if no key is configured.
 *
 * @throws CommandError if one of them is wrong, or if the key of the server is public.
 */
export function readTokenKey(environment: NodeJS.ProcessEnv): SigningOptions | undefined {
  const name = PUBLIC_KEYS.find((key) => environment[key]);
  if (name !== undefined) {
    throw new CommandError(EX_CONFIG, `${name}: verifies tokens, and makes none; ask their issuer for one`);
  }
  // The rest of the server's settings is not for commands to judge.
  const { JWT_SECRET, JWT_SECRET_FILE, JWT_ISSUER, JWT_AUDIENCE } = environment;
  const { authentication } = judged(() => parseConfig({ JWT_SECRET, JWT_SECRET_FILE, JWT_ISSUER, JWT_AUDIENCE }, []));
  const { tokens } = authentication ?? {};
  return tokens === undefined || tokens.ephemeral ? undefined : signingOptions(tokens);
}

/**
 * What `read` returns.
 *
 * @throws CommandError that names all faults if it finds the configuration wrong.
 */
export function judged<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof ConfigError) throw new CommandError(EX_CONFIG, error.faults.join("\n"));
    throw error;
  }
}
