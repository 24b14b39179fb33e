import {
  create,
  type DescMethod,
  type DescMethodBiDiStreaming,
  type DescMethodClientStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  type CallOptions,
  type ChannelCredentials,
  type ChannelOptions,
  type ClientDuplexStream,
  type Client as ClientOfGrpc,
  type ClientOptions,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  type Metadata,
  type MethodDefinition,
  makeClientConstructor,
  type requestCallback,
} from "@grpc/grpc-js";
import { pathOf } from "../contract/path.ts";
import { UserService } from "../gen/user/v1/user_service_pb.ts";
import { toChannelOptions } from "./channel-options.ts";
import { type ServiceConfig, toServiceConfig } from "./service-config.ts";

/** A service as grpc-js defines it. Requests may be given as plain objects; what comes in is a message. */
export type GrpcDefinition<S extends DescService> = {
  readonly [P in keyof S["method"]]: S["method"][P] extends DescMethod
    ? MethodDefinition<MessageInitShape<S["method"][P]["input"]>, MessageShape<S["method"][P]["output"]>>
    : never;
};

/** A client of grpc-js, with callbacks and streams of Node. */
export type GrpcClient<S extends DescService> = ClientOfGrpc & {
  readonly [P in keyof S["method"]]: S["method"][P] extends DescMethodUnary<infer I, infer O>
    ? UnaryMethod<MessageInitShape<I>, MessageShape<O>>
    : S["method"][P] extends DescMethodServerStreaming<infer I, infer O>
      ? ServerStreamingMethod<MessageInitShape<I>, MessageShape<O>>
      : S["method"][P] extends DescMethodClientStreaming<infer I, infer O>
        ? ClientStreamingMethod<MessageInitShape<I>, MessageShape<O>>
        : S["method"][P] extends DescMethodBiDiStreaming<infer I, infer O>
          ? BidiStreamingMethod<MessageInitShape<I>, MessageShape<O>>
          : never;
};

/** Makes clients: `new UserServiceClient(address, credentials, options)`. */
export type GrpcClientConstructor<S extends DescService> = new (
  address: string,
  credentials: ChannelCredentials,
  options?: ClientOptions,
) => GrpcClient<S>;

/** A unary method, with metadata and options where they are wanted. */
export interface UnaryMethod<I, O> {
  (request: I, callback: requestCallback<O>): ClientUnaryCall;
  (request: I, metadata: Metadata, callback: requestCallback<O>): ClientUnaryCall;
  (request: I, metadata: Metadata, options: CallOptions, callback: requestCallback<O>): ClientUnaryCall;
}

/** A method that streams responses. */
export interface ServerStreamingMethod<I, O> {
  (request: I, options?: CallOptions): ClientReadableStream<O>;
  (request: I, metadata: Metadata, options?: CallOptions): ClientReadableStream<O>;
}

/** A method that streams requests. */
export interface ClientStreamingMethod<I, O> {
  (callback: requestCallback<O>): ClientWritableStream<I>;
  (metadata: Metadata, callback: requestCallback<O>): ClientWritableStream<I>;
  (metadata: Metadata, options: CallOptions, callback: requestCallback<O>): ClientWritableStream<I>;
}

/** A method that streams both. */
export interface BidiStreamingMethod<I, O> {
  (options?: CallOptions): ClientDuplexStream<I, O>;
  (metadata: Metadata, options?: CallOptions): ClientDuplexStream<I, O>;
}

/** The user service as grpc-js defines it, for clients and for servers. */
export const userServiceDefinition: GrpcDefinition<typeof UserService> = toGrpcDefinition(UserService);

/**
 * The constructor of grpc-js clients of the user service. Deadlines, tokens and request ids are the caller's to send.
 */
export const UserServiceClient: GrpcClientConstructor<typeof UserService> = makeClientConstructor(
  { ...userServiceDefinition },
  UserService.typeName,
  // grpc-js adds the methods when it runs: its own type has none of them.
) as unknown as GrpcClientConstructor<typeof UserService>;

/**
 * The service config of the contract: what is retried, how often, and over which addresses. Creations are not, without
 * a request_id.
 */
export const userServiceConfig: ServiceConfig = toServiceConfig([UserService]);

/** The same for callers who send a `request_id` with every creation: those are retried, too. */
export const userServiceConfigWithRequestIds: ServiceConfig = toServiceConfig([UserService], { setsRequestIds: true });

/**
 * Options of a channel that has `userServiceConfig`, and keepalive:
 * `new UserServiceClient(address, credentials, userChannelOptions)`.
 */
export const userChannelOptions: ChannelOptions = toChannelOptions([UserService]);

/** Defines a service of protobuf-es for grpc-js. */
export function toGrpcDefinition<S extends DescService>(service: S): GrpcDefinition<S> {
  const methods = service.methods.map((method) => [method.localName, toMethodDefinition(method)]);
  return Object.fromEntries(methods) as GrpcDefinition<S>;
}

function toMethodDefinition(
  method: DescMethod,
): MethodDefinition<MessageInitShape<DescMethod["input"]>, MessageShape<DescMethod["output"]>> {
  const { methodKind, input, output } = method;
  return {
    path: pathOf(method),
    requestStream: methodKind === "client_streaming" || methodKind === "bidi_streaming",
    responseStream: methodKind === "server_streaming" || methodKind === "bidi_streaming",
    requestSerialize: (request) => Buffer.from(toBinary(input, create(input, request))),
    requestDeserialize: (bytes) => fromBinary(input, bytes),
    responseSerialize: (response) => Buffer.from(toBinary(output, create(output, response))),
    responseDeserialize: (bytes) => fromBinary(output, bytes),
    originalName: method.name,
  };
}
