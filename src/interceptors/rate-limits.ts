import type { Metadata } from "@grpc/grpc-js";
import { PRINCIPAL_ROLES, type PrincipalRole } from "../domain/principal.ts";
import { addressGroup } from "../grpc/address-group.ts";
import { RateLimitedError } from "../grpc/errors.ts";
import type { CallerAddresses } from "../grpc/in-process.ts";
import { toStatus } from "../grpc/status.ts";
import type { Authenticate, Identity } from "./identity.ts";
import { type Interceptor, PassThrough } from "./pass-through.ts";
import { RefusedCall } from "./refused-call.ts";
import { type Rate, TokenBuckets } from "./token-buckets.ts";

/**
 * Lets the clients of one address make calls at a rate, whoever they are, and refuses the others with
 * RESOURCE_EXHAUSTED and the time when the next one is let in. Of connections within the process, `callers` tells for
 * whom they call.
 */
export function createAddressLimit(rate: Rate, callers: Pick<CallerAddresses, "toldBy">): Interceptor {
  const buckets = new TokenBuckets(rate);
  const refusal = (address: string | undefined): RateLimitedError | undefined => {
    const waitMs = address === undefined ? 0 : buckets.take(addressGroup(address), performance.now());
    return waitMs === 0 ? undefined : new RateLimitedError("address", waitMs);
  };
  return (_, call) => {
    const { remoteAddress } = call.getConnectionInfo();
    if (remoteAddress === undefined) return new ForwardedCall(call, (metadata) => refusal(callers.toldBy(metadata)));
    const refused = refusal(remoteAddress);
    return refused === undefined ? call : new RefusedCall(call, toStatus(refused));
  };
}

/** A call of which only its metadata tells where it comes from. */
class ForwardedCall extends PassThrough {
  readonly #refusal: (metadata: Metadata) => Error | undefined;

  constructor(outer: PassThrough["outer"], refusal: (metadata: Metadata) => Error | undefined) {
    super(outer);
    this.#refusal = refusal;
  }

  override onReceiveMetadata(metadata: Metadata): void {
    const refused = this.#refusal(metadata);
    if (refused === undefined) super.onReceiveMetadata(metadata);
    else this.refuse(refused);
  }
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
