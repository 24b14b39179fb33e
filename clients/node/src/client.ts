/**
 * Calls user.v1.UserService as its contract means it to be called: with its deadlines, with retries where they are safe, and
 * with a token. The messages are those of protobuf-es, in `user-service-client/gen/user/v1/...`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type ChannelCredentials, type ChannelOptions, Client, credentials, Metadata, status } from "@grpc/grpc-js";
import { bindMethods, type CallOptions, type ServiceMethods } from "./calls.ts";
import { ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "./gen/google/rpc/status_pb.ts";
import type { User } from "./gen/user/v1/user_pb.ts";
import { type CreateUserRequestSchema, type CreateUsersResponse, UserService } from "./gen/user/v1/user_service_pb.ts";
import type { WatchUsersRequestSchema, WatchUsersResponse } from "./gen/user/v1/watch_pb.ts";
import { addRequestIds, addToken, limitTime, type Token } from "./interceptors.ts";
import { EXPECTED_COUNT, SERVICE_CONFIG } from "./policy.ts";

export type { CallOptions } from "./calls.ts";
export type { Token } from "./interceptors.ts";

/** How a client reaches the service, and what its calls carry. */
export interface UserClientOptions {
  /** Sent with each call. */
  readonly token?: Token;
  /** How the channel is secured; not at all by default. */
  readonly credentials?: ChannelCredentials;
  /** Options of the grpc-js channel, over those of the client. */
  readonly channelOptions?: ChannelOptions;
}

/** The twelve methods of the service, and a few more that do what nearly every caller needs. */
export type UserClient = ServiceMethods<typeof UserService> &
  Disposable & {
    /**
     * Creates all users, or none. Tells the service how many there are, so that a stream that is cut on its way, by whatever
     * network, creates nobody and fails with DATA_LOSS.
     */
    createAll(
      users: readonly MessageInitShape<typeof CreateUserRequestSchema>[],
      options?: CallOptions,
    ): Promise<CreateUsersResponse>;
    /** Yields all users, oldest first, in pages of `pageSize` (0: as many as the service likes). */
    allUsers(pageSize?: number): AsyncGenerator<User, void>;
    /**
     * Yields what happens to users, and goes on by itself, on any replica, where a call broke off with UNAVAILABLE, or because its
     * token expired: nothing is missed, and what came last may come again, with the same revision. Leaving the loop, or aborting, ends it.
     */
    watch(
      request?: MessageInitShape<typeof WatchUsersRequestSchema>,
      signal?: AbortSignal,
    ): AsyncGenerator<WatchUsersResponse, void>;
    /** Closes the connections. Calls that are open fail with CANCELLED. */
    close(): void;
  };

/** The reason of a call that its token did not outlast; one whose token has expired already fails with another one. */
const TOKEN_EXPIRED = "TOKEN_EXPIRED";

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;

/** Makes a client of an address as gRPC writes it, such as `localhost:50051`. It connects when it is first used. */
export function createUserClient(address: string, options: UserClientOptions = {}): UserClient {
  const { token, channelOptions } = options;
  const channel = new Client(address, options.credentials ?? credentials.createInsecure(), {
    "grpc.service_config": JSON.stringify(SERVICE_CONFIG),
    // The contract decides, not a record of the name service.
    "grpc.service_config_disable_resolution": 1,
    // Finds connections out that are broken without a word, while there are calls on them.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    ...channelOptions,
    interceptors: [limitTime, addRequestIds, ...(token === undefined ? [] : [addToken(token)])],
  });
  const methods = bindMethods(UserService, channel);
  const close = () => channel.close();

  async function* allUsers(pageSize = 0): AsyncGenerator<User, void> {
    for (let pageToken = ""; ; ) {
      const { users, nextPageToken } = await methods.listUsersPage({ pageSize, pageToken });
      yield* users;
      if (nextPageToken === "") return;
      pageToken = nextPageToken;
    }
  }

  async function* watch(
    request: MessageInitShape<typeof WatchUsersRequestSchema> = {},
    signal?: AbortSignal,
  ): AsyncGenerator<WatchUsersResponse, void> {
    let { resumeToken = "" } = request;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      try {
        for await (const event of methods.watchUsers({ ...request, resumeToken }, { signal })) {
          resumeToken = event.resumeToken;
          pause = FIRST_PAUSE_MS;
          yield event;
        }
      } catch (error) {
        const isPassing =
          (error as { code?: unknown }).code === status.UNAVAILABLE || reasonOf(error) === TOKEN_EXPIRED;
        if (!isPassing) throw error;
      }
      // Up to twice the pause, so that watchers who were cut off together do not come back together.
      await sleep(pause * (1 + Math.random()), undefined, { signal });
    }
  }

  return {
    ...methods,
    createAll(users, callOptions = {}) {
      const metadata = callOptions.metadata?.clone() ?? new Metadata();
      metadata.set(EXPECTED_COUNT, String(users.length));
      return methods.createUsers(users, { ...callOptions, metadata });
    },
    allUsers,
    watch,
    close,
    [Symbol.dispose]: close,
  };
}

/** The reason of an error of the service, such as `USER_NOT_FOUND`, which is stable; empty if it has none. */
export function reasonOf(error: unknown): string {
  const { metadata } = error as { metadata?: Metadata };
  const [details] = metadata?.get("grpc-status-details-bin") ?? [];
  if (!(details instanceof Uint8Array)) return "";
  for (const detail of fromBinary(StatusSchema, details).details) {
    const info = anyUnpack(detail, ErrorInfoSchema);
    if (info !== undefined) return info.reason;
  }
  return "";
}
