import type { DescService } from "@bufbuild/protobuf";
import type { ChannelOptions } from "@grpc/grpc-js";
import { type ServiceConfigOptions, toServiceConfig } from "./service-config.ts";

/** A connection on which nothing is heard for so long is asked whether it lives, and must answer in time. */
const KEEPALIVE_TIME_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;

/**
 * When an address is tried again to which a connection was lost: soon, so that a replica which has been restarted is
 * there before the next one goes; later and later while it is not there.
 */
const FIRST_RECONNECT_MS = 100;
const LONGEST_RECONNECT_MS = 10_000;

/**
 * Options of a grpc-js channel to these services: the service config of their contract, retries, and keepalive, which
 * finds connections out that are broken without a word, while there are calls on them.
 */
export function toChannelOptions(services: readonly DescService[], options?: ServiceConfigOptions): ChannelOptions {
  return {
    "grpc.service_config": JSON.stringify(toServiceConfig(services, options)),
    // The contract decides, not a record of the name service.
    "grpc.service_config_disable_resolution": 1,
    "grpc.enable_retries": 1,
    "grpc.initial_reconnect_backoff_ms": FIRST_RECONNECT_MS,
    "grpc.max_reconnect_backoff_ms": LONGEST_RECONNECT_MS,
    "grpc.keepalive_time_ms": KEEPALIVE_TIME_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
    "grpc.enable_channelz": 0,
  };
}
