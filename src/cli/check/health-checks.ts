import { Code } from "@connectrpc/connect";
import {
  HealthCheckResponse_ServingStatusSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/health/v1/health_pb.ts";
import { UserService } from "../../gen/user/v1/user_service_pb.ts";
import { type Check, CheckError, ensure, failureOf } from "./check.ts";

/** What grpc.health.v1.Health says of a server as a whole. */
export const HEALTH_CHECKS: readonly Check[] = [
  {
    group: "health",
    name: "Check says that the server serves",
    async run({ health, signal }) {
      ensureServing((await health.check({}, { signal })).status);
    },
  },
  {
    group: "health",
    name: "Check fails with NOT_FOUND for a service that does not exist",
    async run({ health, signal }) {
      await failureOf(health.check({ service: "no.such.Service" }, { signal }), Code.NotFound);
    },
  },
  {
    group: "health",
    name: "Watch says that the server serves",
    async run(context) {
      await context.streaming(async (signal) => {
        for await (const { status } of context.health.watch({}, { signal })) return ensureServing(status);
        throw new CheckError("the watch ended by itself");
      });
    },
  },
];

/** What it says of our service besides. */
export const OWN_HEALTH_CHECKS: readonly Check[] = [
  {
    group: "health",
    name: `Check says that ${UserService.typeName} serves`,
    async run({ health, signal }) {
      ensureServing((await health.check({ service: UserService.typeName }, { signal })).status);
    },
  },
  {
    group: "health",
    name: `List says that ${UserService.typeName} serves`,
    async run({ health, signal }) {
      const { statuses } = await health.list({}, { signal });
      ensureServing(statuses[UserService.typeName]?.status ?? ServingStatus.SERVICE_UNKNOWN);
    },
  },
];

function ensureServing(status: ServingStatus): void {
  ensure(
    status === ServingStatus.SERVING,
    `the status is ${HealthCheckResponse_ServingStatusSchema.value[status]?.name ?? status}`,
  );
}
