import type { Logger } from "pino";
import type { Application } from "./application.ts";
import type { AuthenticationConfig, TokenConfig } from "./authentication-config.ts";
import type { Config } from "./config.ts";
import { authorizationOf, exceptSuspended } from "./interceptors/auth.ts";
import { byCertificate } from "./interceptors/certificate-identity.ts";
import { type Authenticate, believeNoToken, byTokenOrCertificate, type Identity } from "./interceptors/identity.ts";
import { withinRate } from "./interceptors/rate-limits.ts";
import { TokenVerifier } from "./interceptors/token.ts";
import { createTokenKeys } from "./interceptors/token-keys.ts";

/** Who everybody is if authentication is off. */
const EVERYBODY: Identity = {
  principal: { id: "anonymous", role: "admin" },
  expiresAtMs: Number.POSITIVE_INFINITY,
};

/**
 * Finds out who calls, as configured. The caller limit comes before the question to the database whether the caller is
 * suspended.
 */
export function createAuthentication(
  { authentication, load }: Config,
  application: Application,
  logger: Logger,
): Authenticate {
  const identify = authentication === undefined ? () => EVERYBODY : byProof(authentication, logger);
  const limited = load.perCaller === 0 ? identify : withinRate(identify, { ...load, perSecond: load.perCaller });
  return authentication === undefined ? limited : exceptSuspended(limited, (userId) => application.isSuspended(userId));
}

function byProof({ tokens, services }: AuthenticationConfig, logger: Logger): Authenticate {
  const byToken = tokens === undefined ? believeNoToken : byTokens(tokens, logger);
  return services.size === 0 ? byToken : byTokenOrCertificate(byToken, byCertificate(services));
}

function byTokens({ source, ...claims }: TokenConfig, logger: Logger): Authenticate {
  if (source.kind !== "secret" && claims.audience === undefined)
    logger.warn("JWT_AUDIENCE is not set: tokens that the issuer made for others are believed too");
  const keys = createTokenKeys(source, {
    onFound: () => logger.info("keys of tokens found"),
    onLost: (cause) => logger.error({ err: cause }, "keys of tokens not available"),
  });
  const verifier = new TokenVerifier({ ...claims, keys });
  return (metadata) => {
    const authorization = authorizationOf(metadata);
    return verifier.remembered(authorization) ?? verifier.verify(authorization);
  };
}
