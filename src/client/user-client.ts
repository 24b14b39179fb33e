import { UserService } from "../gen/user/v1/user_service_pb.ts";
import { type ClientOptions, createServiceClient, type ServiceClient } from "./service-client.ts";

/** A client of the user service. */
export type UserClient = ServiceClient<typeof UserService>;

/** How a client reaches the user service, and what its calls carry. */
export type UserClientOptions = ClientOptions;

/**
 * Makes a client of the user service at an address as gRPC writes it, such as `localhost:50051` or
 * `dns:///users.example.com:443`. It connects when it is first used.
 *
 * Deadlines and retries are those that the contract states: calls that it calls idempotent are tried again if the
 * service is UNAVAILABLE, in up to four attempts within about a second. Failures are ConnectErrors with the code, the
 * message and the details of the gRPC status.
 */
export function createUserClient(address: string, options: UserClientOptions = {}): UserClient {
  return createServiceClient(UserService, address, options);
}
