import type { DescMethodClientStreaming, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { type CallOptions, type Client, createClient, type Interceptor, makeAnyClient } from "@connectrpc/connect";
import {
  type ChannelCredentials,
  type ChannelOptions,
  compressionAlgorithms,
  Client as GrpcClient,
} from "@grpc/grpc-js";
import { readPolicies } from "../contract/policy.ts";
import type { OnCall } from "./call-event.ts";
import { cancelOnReturn } from "./cancel-on-return.ts";
import { toChannelOptions } from "./channel-options.ts";
import { type Requests, takeIterables } from "./expected-count.ts";
import { GrpcTransport } from "./grpc-transport.ts";
import { staysLocal } from "./plain-text.ts";
import { setRequestIds } from "./request-ids.ts";
import { type TlsClientOptions, toCredentials, toTlsChannelOptions } from "./tls.ts";
import { sendToken, type Token } from "./token.ts";

/** How a client reaches its service, and what its calls carry. */
export interface ClientOptions {
  /** Sent with each call, as `authorization: Bearer ...`. */
  readonly token?: Token;
  /**
   * Whether connections are secured, and how: true trusts the authorities that Node.js knows. By default they are not,
   * and a `token` is sent to this machine only; false sends it in plain text elsewhere too, where a mesh encrypts it or
   * nobody listens.
   */
  readonly tls?: boolean | TlsClientOptions;
  /** Credentials of grpc-js, instead of `tls`, for what that cannot say. */
  readonly credentials?: ChannelCredentials;
  /** Options of the grpc-js channel, over those that the client sets itself. */
  readonly channelOptions?: ChannelOptions;
  /**
   * Timeout of calls that state none, in milliseconds, instead of the default deadline that the contract states for
   * their method; Infinity for none.
   */
  readonly defaultTimeoutMs?: number;
  /**
   * Interceptors of Connect's, from the caller inward. They may make a unary call again, but not one that streams: its
   * requests can be read only once, so that the second attempt fails with INTERNAL.
   */
  readonly interceptors?: readonly Interceptor[];
  /** Is told of every call when it has ended, for logs and metrics. */
  readonly onCall?: OnCall;
  /** Has requests compressed with gzip. Not by default: it costs both sides time, and is worth it on slow networks. */
  readonly compression?: "gzip";
}

/**
 * Connect's client of a service, and more: it can be closed, leaving a `for await` over responses cancels their call,
 * and client-streaming methods take any iterable, for an array with `x-expected-count`.
 */
export type ServiceClient<S extends DescService> = ServiceMethods<S> &
  Disposable & {
    /** Closes the connections. Calls that are open fail with CANCELLED, as do later ones. */
    close(): void;
  };

type ServiceMethods<S extends DescService> = {
  [P in keyof Client<S>]: S["method"][P] extends DescMethodClientStreaming<infer I, infer O>
    ? (requests: Requests<MessageInitShape<I>>, options?: CallOptions) => Promise<MessageShape<O>>
    : Client<S>[P];
};

/**
 * Makes a client of a service at an address as gRPC writes it, such as `localhost:50051` or
 * `dns:///users.example.com:443`. It connects when it is first used. Deadlines and retries are those of the contract.
 * What can have a `request_id` gets one, so that it is retried as well; clients of the same address in one process
 * share one budget of retries.
 *
 * @throws Error if a method of the service states no policy, or if the token would leave this machine in plain text.
 */
export function createServiceClient<S extends DescService>(
  service: S,
  address: string,
  options: ClientOptions = {},
): ServiceClient<S> {
  const { token, tls, interceptors = [], defaultTimeoutMs, onCall } = options;
  if (token !== undefined && tls === undefined && options.credentials === undefined && !staysLocal(address)) {
    throw new Error(`the token would be sent to ${address} in plain text: set tls`);
  }
  const policies = readPolicies([service]);
  const transport = new GrpcTransport(openChannel(service, address, options), {
    timeoutMsOf: (method) => defaultTimeoutMs ?? policies.get(method)?.defaultDeadlineMs ?? Number.POSITIVE_INFINITY,
    // Outermost, so that an interceptor which makes a call again does so with the same ids.
    interceptors: [setRequestIds, ...interceptors, ...(token === undefined ? [] : [sendToken(token)])],
    onCall,
  });
  const close = () => transport.close();
  return { ...methodsOf(service, createClient(service, transport)), close, [Symbol.dispose]: close };
}

function openChannel(service: DescService, address: string, options: ClientOptions): GrpcClient {
  const { tls = false } = options;
  return new GrpcClient(address, options.credentials ?? toCredentials(tls), {
    ...toChannelOptions([service], { setsRequestIds: true }),
    ...(options.compression === "gzip" && { "grpc.default_compression_algorithm": compressionAlgorithms.gzip }),
    ...toTlsChannelOptions(tls),
    ...options.channelOptions,
  });
}

function methodsOf<S extends DescService>(service: S, client: Client<S>): ServiceMethods<S> {
  const methods = makeAnyClient(service, ({ methodKind, localName }) => {
    // The descriptors tell what each function takes; TypeScript cannot follow.
    const call = client[localName as keyof Client<S>] as never;
    if (methodKind === "client_streaming") return takeIterables(call);
    return methodKind === "unary" ? call : cancelOnReturn(call);
  });
  return methods as ServiceMethods<S>;
}
