import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { onTestFinished } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "../../../src/gen/health/v1/health_pb.ts";

type StatusName = keyof typeof ServingStatus;

const NAMES = new Map<ServingStatus, StatusName>(
  Object.entries(ServingStatus).map(([name, status]) => [status, name as StatusName]),
);

/** Begins to watch the health of a service, until the test is finished. */
export function watchHealth({ port }: { readonly port: number }, service: string): HealthWatch {
  const client = createClient(Health, createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` }));
  const controller = new AbortController();
  const watch = new HealthWatch(client.watch({ service }, controller));
  onTestFinished(async () => {
    controller.abort();
    await watch.ended;
  });
  return watch;
}

/** What Health.Watch says of a service. */
export class HealthWatch {
  /** All that it has said so far. */
  readonly said: StatusName[] = [];
  /** Resolves when it says nothing more. */
  readonly ended: Promise<void>;
  #next = Promise.withResolvers<void>();

  constructor(responses: AsyncIterable<{ readonly status: ServingStatus }>) {
    this.ended = this.#follow(responses).catch(() => {});
  }

  /** Waits until the service has this status, if it has another one. */
  async until(status: StatusName): Promise<void> {
    while (this.said.at(-1) !== status) await this.#next.promise;
  }

  async #follow(responses: AsyncIterable<{ readonly status: ServingStatus }>): Promise<void> {
    for await (const { status } of responses) {
      this.said.push(NAMES.get(status) ?? "UNKNOWN");
      this.#next.resolve();
      this.#next = Promise.withResolvers<void>();
    }
  }
}
