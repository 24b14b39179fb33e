import { PRINCIPAL_ROLES, type PrincipalRole } from "../domain/principal.ts";
import { addressGroup } from "../grpc/address-group.ts";
import { RateLimitedError } from "../grpc/errors.ts";
import { toStatus } from "../grpc/status.ts";
import type { Authenticate, Identity } from "./identity.ts";
import type { Interceptor } from "./pass-through.ts";
import { RefusedCall } from "./refused-call.ts";
import { type Rate, TokenBuckets } from "./token-buckets.ts";

/**
 * Lets the clients of one address make calls at a rate, whoever they are, and refuses the others with RESOURCE_EXHAUSTED and
 * the time when the next one is let in. Connections without an address, which come from this process, are not limited.
 */
export function createAddressLimit(rate: Rate): Interceptor {
  const buckets = new TokenBuckets(rate);
  return (_, call) => {
    const { remoteAddress } = call.getConnectionInfo();
    if (remoteAddress === undefined) return call;
    const waitMs = buckets.take(addressGroup(remoteAddress), performance.now());
    return waitMs === 0 ? call : new RefusedCall(call, toStatus(new RateLimitedError("address", waitMs)));
  };
}

/**
 * Finds out who calls as `authenticate` does, but lets each principal make calls at a rate only, and throws a
 * RateLimitedError beyond it. A call counts when its caller is known, also one that is then refused.
 */
export function withinRate(authenticate: Authenticate, rate: Rate): Authenticate {
  // The name of a service may happen to be a user's id.
  const buckets = Object.fromEntries(PRINCIPAL_ROLES.map((role) => [role, new TokenBuckets(rate)])) as Record<
    PrincipalRole,
    TokenBuckets
  >;
  const admit = (identity: Identity): Identity => {
    const { role, id } = identity.principal;
    const waitMs = buckets[role].take(id, performance.now());
    if (waitMs > 0) throw new RateLimitedError("caller", waitMs);
    return identity;
  };
  return (metadata, wire) => {
    const identity = authenticate(metadata, wire);
    return identity instanceof Promise ? identity.then(admit) : admit(identity);
  };
}
