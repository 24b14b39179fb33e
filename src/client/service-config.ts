import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { requestIdField } from "../contract/request-id.ts";

/** The part of gRPC's service config (grpc/service_config.proto) that is used here, as its JSON form has it. */
export interface ServiceConfig {
  readonly loadBalancingConfig: readonly Readonly<Record<string, object>>[];
  readonly methodConfig: readonly MethodConfig[];
  readonly retryThrottling: { readonly maxTokens: number; readonly tokenRatio: number };
}

/** How the calls of some methods are retried; see gRFC A6. */
export interface MethodConfig {
  readonly name: readonly { readonly service: string; readonly method: string }[];
  readonly retryPolicy: {
    readonly maxAttempts: number;
    readonly initialBackoff: string;
    readonly maxBackoff: string;
    readonly backoffMultiplier: number;
    readonly retryableStatusCodes: readonly string[];
  };
}

/** What the config is made for. */
export interface ServiceConfigOptions {
  /** Whether every request that can have a `request_id` has one, which makes it safe to send again. Not by default. */
  readonly setsRequestIds?: boolean;
}

/** UNAVAILABLE alone says that another attempt may help, and soon. */
const RETRY_POLICY: MethodConfig["retryPolicy"] = {
  maxAttempts: 4,
  initialBackoff: "0.1s",
  maxBackoff: "1s",
  backoffMultiplier: 2,
  retryableStatusCodes: ["UNAVAILABLE"],
};

/**
 * A bucket of tokens: each UNAVAILABLE takes one, each success gives a tenth back, and nothing is retried while it is
 * not more than half full. So a service that is down gets seven attempts too many from each client and then none, and
 * one that drops a few calls, all of them.
 */
const RETRY_THROTTLING: ServiceConfig["retryThrottling"] = { maxTokens: 20, tokenRatio: 0.1 };

/**
 * Leaves an address out for a while at which nearly all calls fail while others serve (gRFC A50). grpc-js takes every
 * code but OK for a failure, so the limits are wide: a caller who asks only for users that do not exist never loses all
 * addresses. Its names and durations are those that grpc-js reads, which are not quite those of the JSON form of
 * protobuf.
 */
const OUTLIER_DETECTION = {
  interval: { seconds: 5, nanos: 0 },
  base_ejection_time: { seconds: 10, nanos: 0 },
  max_ejection_time: { seconds: 60, nanos: 0 },
  max_ejection_percent: 30,
  failure_percentage_ejection: { threshold: 90, enforcement_percentage: 100, minimum_hosts: 2, request_volume: 20 },
  child_policy: [{ round_robin: {} }],
};

/**
 * Makes the service config of a client of these services. Calls go to all addresses in turn, but for those that fail
 * where others serve. Those of methods that the contract calls idempotent (`idempotency_level`) are retried while they
 * fail with UNAVAILABLE, and with `setsRequestIds` those whose requests have a `request_id` (AIP-155).
 */
export function toServiceConfig(
  services: readonly DescService[],
  { setsRequestIds = false }: ServiceConfigOptions = {},
): ServiceConfig {
  const isRetried = (method: DescMethod) =>
    isIdempotent(method) || (setsRequestIds && requestIdField(method) !== undefined);
  const retried = services.flatMap(({ methods }) => methods.filter(isRetried));
  const name = retried.map((method) => ({ service: method.parent.typeName, method: method.name }));
  return {
    // The first of them that a client knows; grpc-js alone knows that one by this name.
    loadBalancingConfig: [{ outlier_detection: OUTLIER_DETECTION }, { round_robin: {} }],
    methodConfig: name.length === 0 ? [] : [{ name, retryPolicy: RETRY_POLICY }],
    retryThrottling: RETRY_THROTTLING,
  };
}

function isIdempotent({ idempotency }: DescMethod): boolean {
  return idempotency === IdempotencyLevel.NO_SIDE_EFFECTS || idempotency === IdempotencyLevel.IDEMPOTENT;
}
