import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as IdempotencyLevel } from "@bufbuild/protobuf/wkt";

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

/** UNAVAILABLE alone says that another attempt may help, and soon. */
const RETRY_POLICY: MethodConfig["retryPolicy"] = {
  maxAttempts: 4,
  initialBackoff: "0.1s",
  maxBackoff: "1s",
  backoffMultiplier: 2,
  retryableStatusCodes: ["UNAVAILABLE"],
};

/**
 * Makes the service config of a client of these services. Calls go to all addresses in turn, and those of methods that the
 * contract calls idempotent (`idempotency_level`) are retried. Retries pause while more than one call in eleven fails.
 */
export function toServiceConfig(services: readonly DescService[]): ServiceConfig {
  const retried = services.flatMap(({ methods }) => methods.filter(isIdempotent));
  const name = retried.map((method) => ({ service: method.parent.typeName, method: method.name }));
  return {
    loadBalancingConfig: [{ round_robin: {} }],
    methodConfig: name.length === 0 ? [] : [{ name, retryPolicy: RETRY_POLICY }],
    // Enough for the calls that a restarting replica drops at once.
    retryThrottling: { maxTokens: 100, tokenRatio: 0.1 },
  };
}

function isIdempotent({ idempotency }: DescMethod): boolean {
  return idempotency === IdempotencyLevel.NO_SIDE_EFFECTS || idempotency === IdempotencyLevel.IDEMPOTENT;
}
