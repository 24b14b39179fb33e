import { Readable, type Writable } from "node:stream";
import {
  create,
  type DescMethod,
  type DescMethodBiDiStreaming,
  type DescMethodClientStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  fromBinary,
  type Message,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type Client, Metadata } from "@grpc/grpc-js";

/** What a call may state for itself. */
export interface CallOptions {
  /** Time that the call may take, instead of the default of its method. */
  readonly timeoutMs?: number | undefined;
  readonly metadata?: Metadata | undefined;
  /** Cancels the call. */
  readonly signal?: AbortSignal | undefined;
  /** Is told the trailing metadata of a call that streams responses and succeeds. */
  readonly onTrailers?: ((trailers: Metadata) => void) | undefined;
}

/** A message to be, as protobuf-es takes it. */
type Init = Record<string, unknown>;

type Requests<I> = Iterable<I> | AsyncIterable<I>;

/** A service as functions: of messages or streams of them, to a promise of a message or an iterable of them. */
export type ServiceMethods<S extends DescService> = {
  [P in keyof S["method"]]: S["method"][P] extends DescMethodUnary<infer I, infer O>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : S["method"][P] extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncGenerator<MessageShape<O>, void>
      : S["method"][P] extends DescMethodClientStreaming<infer I, infer O>
        ? (requests: Requests<MessageInitShape<I>>, options?: CallOptions) => Promise<MessageShape<O>>
        : S["method"][P] extends DescMethodBiDiStreaming<infer I, infer O>
          ? (requests: Requests<MessageInitShape<I>>, options?: CallOptions) => AsyncGenerator<MessageShape<O>, void>
          : never;
};

/** The events that all calls of grpc-js have. */
interface Call {
  cancel(): void;
  once(event: "status", listener: (status: { metadata: Metadata }) => void): unknown;
}

/** Makes the functions of a service, which call over the channel of `client`. */
export function bindMethods<S extends DescService>(service: S, client: Client): ServiceMethods<S> {
  const functions = service.methods.map((method) => [method.localName, bind(method, client)] as const);
  // The descriptors tell what each function takes; TypeScript cannot follow.
  return Object.fromEntries(functions) as ServiceMethods<S>;
}

function bind(method: DescMethod, client: Client) {
  const { input, output, parent, name, methodKind } = method;
  const path = `/${parent.typeName}/${name}`;
  const encode = (message: Message) => Buffer.from(toBinary(input, message));
  const decode = (bytes: Buffer) => fromBinary(output, bytes);
  const from = (init: Init) => create(input, init);
  const settings = ({ metadata = new Metadata(), timeoutMs }: CallOptions) =>
    [metadata, timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs }] as const;

  switch (methodKind) {
    case "unary":
      return (request: Init, options: CallOptions = {}) =>
        answer(
          (done) => client.makeUnaryRequest(path, encode, decode, from(request), ...settings(options), done),
          options,
        );
    case "client_streaming":
      return (requests: Requests<Init>, options: CallOptions = {}) =>
        answer((done) => {
          const call = client.makeClientStreamRequest(path, encode, decode, ...settings(options), done);
          send(requests, from, call, done);
          return call;
        }, options);
    case "server_streaming":
      return (request: Init, options: CallOptions = {}) =>
        responses(
          () => client.makeServerStreamRequest(path, encode, decode, from(request), ...settings(options)),
          options,
        );
    case "bidi_streaming":
      return (requests: Requests<Init>, options: CallOptions = {}) =>
        responses(() => {
          const call = client.makeBidiStreamRequest(path, encode, decode, ...settings(options));
          send(requests, from, call, (error) => call.destroy(error));
          return call;
        }, options);
  }
}

async function answer(
  start: (done: (error: Error | null, response?: Message) => void) => Call,
  { signal }: CallOptions,
): Promise<Message> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Message>();
  const call = start((error, response) => (response === undefined ? reject(error) : resolve(response)));
  const cancel = () => call.cancel();
  signal?.addEventListener("abort", cancel);
  return promise.finally(() => signal?.removeEventListener("abort", cancel));
}

async function* responses(start: () => Call & Readable, options: CallOptions): AsyncGenerator<Message, void> {
  const { signal, onTrailers } = options;
  signal?.throwIfAborted();
  const call = start();
  // The iterator tells of errors, but of none once it is left, and an event that nobody listens to would end the process.
  call.on("error", () => {});
  const cancel = () => call.cancel();
  signal?.addEventListener("abort", cancel);
  if (onTrailers !== undefined) call.once("status", ({ metadata }) => onTrailers(metadata));
  try {
    yield* call.iterator({ destroyOnReturn: false });
  } finally {
    signal?.removeEventListener("abort", cancel);
    // For a caller who leaves the loop; a call that has ended does not mind.
    call.cancel();
  }
}

/** Sends no faster than the service reads. A failure of `requests` cancels the call, and is what it fails with. */
function send(
  requests: Requests<Init>,
  from: (init: Init) => Message,
  call: Call & Writable,
  fail: (error: Error) => void,
): void {
  async function* messages() {
    for await (const request of requests) yield from(request);
  }
  const source = Readable.from(messages());
  source.once("error", (error) => {
    fail(error);
    call.cancel();
  });
  call.once("status", () => source.destroy());
  source.pipe(call);
}
