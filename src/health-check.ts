import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import { type Config, parseConfig, toAddress } from "./config.ts";
import { pathOf } from "./contract/path.ts";
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "./gen/health/v1/health_pb.ts";

const TIMEOUT_MS = 2000;

/** Where a client on the same machine finds who listens on every address. */
const LOOPBACK = new Map([
  ["0.0.0.0", "127.0.0.1"],
  ["::", "::1"],
]);

// Asks the service that runs with the same environment, and exits with 0 if it serves, or else with 1.
check(parseConfig(process.env, []));

function check({ host, port }: Config): void {
  const address = toAddress({ host: LOOPBACK.get(host) ?? host, port });
  // A proxy that the environment names leads to other machines.
  const client = new Client(address, credentials.createInsecure(), { "grpc.enable_http_proxy": 0 });
  client.makeUnaryRequest(
    pathOf(Health.method.check),
    (request) => Buffer.from(toBinary(HealthCheckRequestSchema, request)),
    (bytes) => fromBinary(HealthCheckResponseSchema, bytes),
    create(HealthCheckRequestSchema),
    { deadline: Date.now() + TIMEOUT_MS },
    (error, response) => {
      client.close();
      if (response?.status === ServingStatus.SERVING) return;
      process.stderr.write(`${address}: ${error?.message ?? "not serving"}\n`);
      process.exitCode = 1;
    },
  );
}
