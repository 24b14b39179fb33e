import type { DescMethod } from "@bufbuild/protobuf";
import { type ServiceConfig, toServiceConfig } from "../../src/client/service-config.ts";
import { EXPECTED_COUNT } from "../../src/contract/headers.ts";
import { pathOf } from "../../src/contract/path.ts";
import { readPolicies } from "../../src/contract/policy.ts";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";

/** What clients in every language take from the contract, instead of stating it themselves. */
export interface ClientPolicy {
  /** The timeout of calls that state none, in milliseconds, by the path of their method; methods without one are not there. */
  readonly defaultTimeoutsMs: ReadonlyMap<string, number>;
  /** How calls are balanced and retried. */
  readonly serviceConfig: ServiceConfig;
  /** The metadata that tells how many messages a client stream has. */
  readonly expectedCount: string;
}

/**
 * Reads the policy of clients that give a `request_id` (AIP-155) to each creation that has none. They may retry creations as well
 * as what the contract calls idempotent.
 */
export function readClientPolicy(): ClientPolicy {
  const timeouts = [...readPolicies([UserService])].map(([method, policy]) => [
    pathOf(method),
    policy.defaultDeadlineMs,
  ]);
  const limited = (timeouts as [string, number][]).filter(([, ms]) => Number.isFinite(ms));
  return { defaultTimeoutsMs: new Map(limited), serviceConfig: serviceConfig(), expectedCount: EXPECTED_COUNT };
}

function serviceConfig(): ServiceConfig {
  const config = toServiceConfig([UserService]);
  const [retried, ...others] = config.methodConfig;
  if (retried === undefined) throw new Error("the contract calls no method idempotent");
  const named = new Set(config.methodConfig.flatMap(({ name }) => name.map(({ method }) => method)));
  const creations = UserService.methods.filter((method) => takesRequestId(method) && !named.has(method.name));
  const names = creations.map((method) => ({ service: method.parent.typeName, method: method.name }));
  return { ...config, methodConfig: [{ ...retried, name: [...retried.name, ...names] }, ...others] };
}

function takesRequestId({ input }: DescMethod): boolean {
  return input.fields.some(({ name }) => name === "request_id");
}
