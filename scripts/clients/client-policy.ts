import { type ServiceConfig, toServiceConfig } from "../../src/client/service-config.ts";
import { EXPECTED_COUNT } from "../../src/contract/headers.ts";
import { pathOf } from "../../src/contract/path.ts";
import { readPolicies } from "../../src/contract/policy.ts";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";

/** What clients in every language take from the contract, instead of stating it themselves. */
export interface ClientPolicy {
  /**
   * The timeout of calls that state none, in milliseconds, by the path of their method; methods without one are not
   * there.
   */
  readonly defaultTimeoutsMs: ReadonlyMap<string, number>;
  /** How calls are balanced and retried. */
  readonly serviceConfig: ServiceConfig;
  /** The metadata that tells how many messages a client stream has. */
  readonly expectedCount: string;
}

/**
 * Reads the policy of clients that give a `request_id` (AIP-155) to each creation that has none. They may retry
 * creations as well as what the contract calls idempotent.
 */
export function readClientPolicy(): ClientPolicy {
  const timeouts = [...readPolicies([UserService])].map(([method, policy]) => [
    pathOf(method),
    policy.defaultDeadlineMs,
  ]);
  const limited = (timeouts as [string, number][]).filter(([, ms]) => Number.isFinite(ms));
  const serviceConfig = toServiceConfig([UserService], { setsRequestIds: true });
  return { defaultTimeoutsMs: new Map(limited), serviceConfig, expectedCount: EXPECTED_COUNT };
}
