import type { DescService } from "@bufbuild/protobuf";
import { onTestFinished } from "vitest";
import { type ClientOptions, createServiceClient, type ServiceClient } from "../../src/client/service-client.ts";
import { createUserClient, type UserClient } from "../../src/client/user-client.ts";
import { ADMIN, type TestServer, tokenFor } from "./server.ts";

/** The published client of the user service, as an admin. It is closed after the test. */
export function publishedClient({ address }: Pick<TestServer, "address">, options: ClientOptions = {}): UserClient {
  return closing(createUserClient(address, { token: () => tokenFor(ADMIN), ...options }));
}

/** The published client's machinery for another service. It is closed after the test. */
export function serviceClient<S extends DescService>(
  service: S,
  { address }: Pick<TestServer, "address">,
  options: ClientOptions = {},
): ServiceClient<S> {
  return closing(createServiceClient(service, address, options));
}

function closing<T extends { close(): void }>(client: T): T {
  onTestFinished(() => client.close());
  return client;
}
