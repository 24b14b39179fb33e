import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextValues,
  createContextValues,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type Transport,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import type { Client } from "@grpc/grpc-js";
import { pathOf } from "../contract/path.ts";
import type { OnCall } from "./call-event.ts";
import { CallScope } from "./call-scope.ts";
import { inheritedKey } from "./inherit.ts";
import { mapAsync } from "./map-async.ts";
import { callStreaming } from "./streaming-call.ts";
import { callUnary } from "./unary-call.ts";

/** What headers are made from; Node's types give it no name. */
type HeadersInit = ConstructorParameters<typeof Headers>[0];

/** How a transport makes its calls. */
export interface GrpcTransportOptions {
  /** How long a call may take that states no timeout of its own, in milliseconds; Infinity for no limit. */
  timeoutMsOf(method: DescMethod): number;
  /** From the caller inward: the first sees a call first. */
  readonly interceptors: readonly Interceptor[];
  readonly onCall?: OnCall | undefined;
}

/** Carries the calls of Connect's clients over a channel of grpc-js. */
export class GrpcTransport implements Transport {
  readonly #client: Client;
  readonly #options: GrpcTransportOptions;
  readonly #open = new Set<CallScope>();
  #closed = false;

  /** The transport closes `client` when it is closed itself. */
  constructor(client: Client, options: GrpcTransportOptions) {
    this.#client = client;
    this.#options = options;
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: HeadersInit,
    input: MessageInitShape<I>,
    contextValues?: ContextValues,
  ): Promise<UnaryResponse<I, O>> {
    const response = await this.#run(method, signal, timeoutMs, contextValues, (scope) => ({
      ...this.#common(method, scope, header, contextValues),
      stream: false,
      method,
      message: create(method.input, input),
    }));
    return response as UnaryResponse<I, O>;
  }

  stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: HeadersInit,
    input: AsyncIterable<MessageInitShape<I>>,
    contextValues?: ContextValues,
  ): Promise<StreamResponse<I, O>> {
    const response = this.#run(method, signal, timeoutMs, contextValues, (scope) => ({
      ...this.#common(method, scope, header, contextValues),
      stream: true,
      method,
      message: mapAsync(input, (each) => create(method.input, each)),
    }));
    // Connect's client looks at it when the caller asks for the first response, which may be late or never.
    response.catch(() => {});
    return response as Promise<StreamResponse<I, O>>;
  }

  /** Closes the channel. Calls that are open fail with CANCELLED, as do later ones. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const scope of this.#open) scope.abort(closed());
    this.#client.close();
  }

  #begin(
    method: DescMethod,
    signal: AbortSignal | undefined,
    statedMs: number | undefined,
    values: ContextValues | undefined,
  ): CallScope {
    const ownMs = this.#options.timeoutMsOf(method);
    const timeoutMs =
      statedMs !== undefined && values?.get(inheritedKey) ? Math.min(statedMs, ownMs) : (statedMs ?? ownMs);
    // Connect's clients take zero and below for "no timeout".
    const scope = new CallScope(signal, timeoutMs > 0 ? timeoutMs : Number.POSITIVE_INFINITY, (ended, code) => {
      this.#open.delete(ended);
      this.#options.onCall?.(ended.notes.toEvent(pathOf(method).slice(1), code));
    });
    if (this.#closed) scope.abort(closed());
    if (!scope.signal.aborted) this.#open.add(scope);
    return scope;
  }

  #common(method: DescMethod, { signal }: CallScope, header: HeadersInit, values?: ContextValues) {
    return {
      service: method.parent,
      requestMethod: "POST",
      url: this.#client.getChannel().getTarget() + pathOf(method),
      signal,
      header: new Headers(header),
      contextValues: values ?? createContextValues(),
    };
  }

  async #run(
    method: DescMethod,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    contextValues: ContextValues | undefined,
    toRequest: (scope: CallScope) => UnaryRequest | StreamRequest,
  ): Promise<UnaryResponse | StreamResponse> {
    const scope = this.#begin(method, signal, timeoutMs, contextValues);
    try {
      const response = await scope.race(this.#invoke(toRequest(scope), scope));
      // A stream lasts longer, if it is one of grpc-js.
      if (!response.stream || !scope.onWire) scope.end(undefined);
      return response;
    } catch (error) {
      const failure = ConnectError.from(error);
      scope.abort(failure);
      throw failure;
    }
  }

  #invoke(request: UnaryRequest | StreamRequest, scope: CallScope): Promise<UnaryResponse | StreamResponse> {
    const call: ReturnType<Interceptor> = async (intercepted) => {
      scope.signal.throwIfAborted();
      if (scope.over) throw new ConnectError("an interceptor made the call again after its end", Code.Internal);
      return intercepted.stream
        ? callStreaming(this.#client, intercepted, scope)
        : callUnary(this.#client, intercepted, scope);
    };
    const { interceptors } = this.#options;
    return interceptors.reduceRight((next, interceptor) => interceptor(next), call)(request);
  }
}

function closed(): ConnectError {
  return new ConnectError("the client is closed", Code.Canceled);
}
