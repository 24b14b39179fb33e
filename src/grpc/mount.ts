import { create, type DescMessage, type DescMethod, type DescService, type Message } from "@bufbuild/protobuf";
import { createServiceImplSpec, type ServiceImpl } from "@connectrpc/connect";
import type { MethodDefinition, Server, UntypedHandleCall } from "@grpc/grpc-js";
import { pathOf } from "../contract/path.ts";
import { serveBidiStreaming } from "./bidi-streaming.ts";
import { serveClientStreaming } from "./client-streaming.ts";
import { createDecoder, createEncoder } from "./encoding.ts";
import type { LiveStreams } from "./live-streams.ts";
import { serveServerStreaming } from "./server-streaming.ts";
import type { Serving } from "./serving.ts";
import { serveUnary } from "./unary.ts";

/** How services are mounted. */
export interface MountOptions {
  /** Message types whose frozen messages are encoded once; see createEncoder. */
  readonly storedTypes: ReadonlySet<DescMessage>;
  /** Says whether streams of a method live until someone ends them. */
  isLive(method: DescMethod): boolean;
  /** The size of the largest request message of a method, in bytes. */
  maxRequestBytes(method: DescMethod): number;
  /** Where those streams are kept. */
  readonly live: LiveStreams;
}

/** Serves an implementation, written as async functions and generators, on a grpc-js server. */
export function mount<S extends DescService>(
  server: Server,
  service: S,
  implementation: ServiceImpl<S>,
  options: MountOptions,
): void {
  const { methods } = createServiceImplSpec(service, implementation);
  const definition: Record<string, MethodDefinition<Message, Buffer>> = {};
  const handlers: Record<string, UntypedHandleCall> = {};
  for (const [name, spec] of Object.entries(methods)) {
    const { method } = spec;
    const encode = createEncoder(method.output, options.storedTypes);
    const serving: Serving = {
      encode: (response) => encode(create(method.output, response)),
      live: options.isLive(method) ? options.live : undefined,
    };
    definition[name] = toMethodDefinition(method, options.maxRequestBytes(method));
    handlers[name] = toHandler(spec, serving);
  }
  server.addService(definition, handlers);
}

function toHandler(
  spec: ReturnType<typeof createServiceImplSpec>["methods"][string],
  serving: Serving,
): UntypedHandleCall {
  switch (spec.kind) {
    case "unary":
      return serveUnary(spec, serving);
    case "server_streaming":
      return serveServerStreaming(spec, serving);
    case "client_streaming":
      return serveClientStreaming(spec, serving);
    case "bidi_streaming":
      return serveBidiStreaming(spec, serving);
  }
}

/**
 * The grpc-js definition of a method, as its server needs it: requests are decoded on arrival, whereas responses reach
 * grpc-js as bytes, so that what follows knows how long they are.
 */
function toMethodDefinition(method: DescMethod, maxRequestBytes: number): MethodDefinition<Message, Buffer> {
  return {
    path: pathOf(method),
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    // An error in the place of a message never reaches the handler: validation refuses it.
    requestDeserialize: createDecoder(method.input, maxRequestBytes) as (bytes: Buffer) => Message,
    responseSerialize: (bytes) => bytes,
    // The client's half, which no server calls.
    requestSerialize: unused,
    responseDeserialize: unused,
  };
}

function unused(): never {
  throw new Error("this definition is a server's");
}
