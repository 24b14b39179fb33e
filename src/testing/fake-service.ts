import { once } from "node:events";
import { setTimeout } from "node:timers/promises";
import type { DescMethod, Message } from "@bufbuild/protobuf";
import { type ConnectError, createHandlerContext, type HandlerContext, type MethodImpl } from "@connectrpc/connect";
import type { Metadata, ServerDuplexStream, ServerReadableStream, UntypedHandleCall } from "@grpc/grpc-js";
import { toHeaders, toMetadata } from "../client/metadata.ts";
import { pathOf } from "../contract/path.ts";
import { UserService } from "../gen/user/v1/user_service_pb.ts";
import { toStatus, unimplemented } from "./fake-errors.ts";

type Methods = (typeof UserService)["method"];

/** What a method does in one call: answers as a handler does, or fails; at once or later. */
export type Behaviour<M extends DescMethod> = MethodImpl<M> | ConnectError | Delayed<M>;

/** What is done after a while. */
export interface Delayed<M extends DescMethod> {
  readonly delayMs: number;
  readonly behaviour: MethodImpl<M> | ConnectError;
}

/**
 * What the methods of a fake do: the same in each call, or one after another in the calls that come, the last of them
 * ever after. `{ getUser: [unavailable(), async ({ id }) => ({ user: { id } })] }` fails once.
 */
export type Script = { readonly [P in keyof Methods]?: Behaviour<Methods[P]> | readonly Behaviour<Methods[P]>[] };

/** A call that a fake has got. */
export interface FakeCall {
  /** Which method, by its name in the client, such as `getUser`. */
  readonly method: keyof Methods;
  /**
   * The requests that have come so far; one, unless the method streams them. Those of a stream come as the handler
   * reads them.
   */
  readonly requests: readonly Message[];
  /** The request metadata. */
  readonly headers: Headers;
}

type AnyImpl = (request: unknown, context: HandlerContext) => unknown;
type AnyBehaviour = AnyImpl | ConnectError | { readonly delayMs: number; readonly behaviour: AnyImpl | ConnectError };

/** What all kinds of calls have in common here: one that streams both ways. */
type AnyCall = ServerDuplexStream<Message, unknown> & { readonly request?: Message };
type Callback = (error: object | null, response?: unknown, trailer?: Metadata) => void;

/** The methods of the user service, as a test scripts them. */
export class FakeService {
  /** The calls that have come, in their order. */
  readonly calls: FakeCall[] = [];
  readonly #scripts = new Map<string, AnyBehaviour[]>();

  constructor(script: Script) {
    this.script(script);
  }

  /** Replaces what some methods do, from their next call on. */
  script(script: Script): void {
    for (const [name, behaviours] of Object.entries(script)) {
      // The name says which method the types are of; TypeScript cannot follow.
      this.#scripts.set(name, [behaviours].flat() as unknown as AnyBehaviour[]);
    }
  }

  /** The handlers for grpc-js, by the names of the methods. */
  get handlers(): Record<string, UntypedHandleCall> {
    return Object.fromEntries(UserService.methods.map((method) => [method.localName, this.#handler(method)]));
  }

  #handler(method: DescMethod): UntypedHandleCall {
    const streams = method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
    const handle = streams
      ? (call: AnyCall) => void this.#stream(method, call)
      : (call: AnyCall, callback: Callback) => void this.#answer(method, call, callback);
    return handle as UntypedHandleCall;
  }

  async #answer(method: DescMethod, call: AnyCall, callback: Callback): Promise<void> {
    const context = contextOf(method, call);
    try {
      const response = await this.#run(context, call);
      call.sendMetadata(toMetadata(context.responseHeader));
      callback(null, response, toMetadata(context.responseTrailer));
    } catch (error) {
      callback(toStatus(error));
    } finally {
      context.abort();
    }
  }

  async #stream(method: DescMethod, call: AnyCall): Promise<void> {
    const context = contextOf(method, call);
    try {
      const responses = (await this.#run(context, call)) as AsyncIterable<unknown>;
      // The first of them counts.
      const sendHeader = () => call.sendMetadata(toMetadata(context.responseHeader));
      for await (const response of responses) {
        if (call.cancelled) return;
        sendHeader();
        if (!call.write(response)) await Promise.race([once(call, "drain"), once(call, "cancelled")]);
      }
      sendHeader();
      call.end(toMetadata(context.responseTrailer));
    } catch (error) {
      // Not destroy(), which would send no status.
      call.emit("error", toStatus(error));
    } finally {
      context.abort();
    }
  }

  /** Does what is next in the script. */
  async #run(context: HandlerContext, call: AnyCall): Promise<unknown> {
    const name = context.method.localName as keyof Methods;
    const requests: Message[] = [];
    this.calls.push({ method: name, requests, headers: context.requestHeader });
    const sent = call.request ?? recorded(call, requests);
    if (call.request !== undefined) requests.push(call.request);
    const behaviour = this.#next(name);
    if (typeof behaviour === "function") return behaviour(sent, context);
    if (!("delayMs" in behaviour)) throw behaviour;
    // Who has called it off waits for nothing.
    await setTimeout(behaviour.delayMs, undefined, { signal: context.signal }).catch(() => {});
    if (typeof behaviour.behaviour === "function") return behaviour.behaviour(sent, context);
    throw behaviour.behaviour;
  }

  #next(name: string): AnyBehaviour {
    const script = this.#scripts.get(name) ?? [];
    return (script.length > 1 ? script.shift() : script[0]) ?? unimplemented(name);
  }
}

/** The requests of a stream, which are noted as they are read. */
async function* recorded(call: ServerReadableStream<Message, unknown>, requests: Message[]): AsyncGenerator<Message> {
  for await (const request of call.iterator({ destroyOnReturn: false })) {
    requests.push(request);
    yield request;
  }
}

/** The context of a call, to be aborted at its end: until then, a timer watches the deadline. */
function contextOf(method: DescMethod, call: AnyCall): ReturnType<typeof createHandlerContext> {
  const cancelled = new AbortController();
  call.once("cancelled", () => cancelled.abort());
  const deadline = Number(call.getDeadline());
  return createHandlerContext({
    service: UserService,
    method,
    protocolName: "grpc",
    requestMethod: "POST",
    url: `http://${call.getHost()}${pathOf(method)}`,
    requestHeader: toHeaders(call.metadata),
    requestSignal: cancelled.signal,
    ...(Number.isFinite(deadline) && { timeoutMs: deadline - Date.now() }),
  });
}
