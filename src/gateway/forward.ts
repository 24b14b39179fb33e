import { setTimeout } from "node:timers/promises";
import {
  createRegistry,
  type DescMethod,
  type DescMethodBiDiStreaming,
  type DescMethodUnary,
  fromBinary,
  type Message,
} from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type MethodImpl, type Transport } from "@connectrpc/connect";
import pLimit from "p-limit";
import { EXPECTED_COUNT, NEXT_PAGE_TOKEN, REQUEST_ID, TRACEPARENT } from "../contract/headers.ts";
import { file_google_rpc_error_details } from "../gen/google/rpc/error_details_pb.ts";
import { readable } from "./bad-input.ts";
import { exchangeOf } from "./exchange.ts";

/** What callers may tell the server beside their message. */
export const REQUEST_HEADERS = ["authorization", EXPECTED_COUNT, REQUEST_ID, TRACEPARENT, "tracestate"];

/** What the server tells callers beside its messages. */
export const RESPONSE_HEADERS = [REQUEST_ID, NEXT_PAGE_TOKEN, "grpc-retry-pushback-ms"];

const DETAILS = createRegistry(file_google_rpc_error_details);

/** Headers that the gateway adds to a call. */
export type AddedHeaders = (context: HandlerContext) => readonly (readonly [name: string, value: string])[];

/**
 * An implementation of a method that calls the same method of `upstream`. It has no policy of its own: deadline,
 * metadata, cancellation, back-pressure and errors pass through as they are.
 */
export function forward<M extends DescMethod>(method: M, upstream: Transport, added: AddedHeaders): MethodImpl<M> {
  // TypeScript does not follow the kind of a method to the type of its implementation.
  return forwardMethod(method, upstream, added) as unknown as MethodImpl<M>;
}

function forwardMethod(method: DescMethod, upstream: Transport, added: AddedHeaders) {
  const toHeader = (context: HandlerContext): Headers =>
    new Headers([...pick(context.requestHeader, REQUEST_HEADERS), ...added(context).map(([...header]) => header)]);

  async function unary(request: Message, context: HandlerContext): Promise<Message> {
    const { signal } = context;
    becomeCall(context);
    try {
      const header = toHeader(context);
      const response = await upstream.unary(method as DescMethodUnary, signal, context.timeoutMs(), header, request);
      tell(context.responseHeader, response.header);
      tell(context.responseTrailer, response.trailer);
      return response.message;
    } catch (error) {
      throw toAnswer(error);
    }
  }

  async function* stream(requests: AsyncIterable<Message>, context: HandlerContext): AsyncGenerator<Message> {
    // Leaving the responses unread does not end the call by itself.
    const left = new AbortController();
    const signal = AbortSignal.any([context.signal, left.signal]);
    const streaming = method as DescMethodBiDiStreaming;
    becomeCall(context);
    try {
      const header = toHeader(context);
      const sent =
        method.methodKind === "server_streaming" ? requests : beginInTurn(readable(requests, context), left.signal);
      const response = await upstream.stream(streaming, signal, context.timeoutMs(), header, sent);
      tell(context.responseHeader, response.header);
      yield* response.message;
      tell(context.responseTrailer, response.trailer);
    } catch (error) {
      throw toAnswer(error);
    } finally {
      left.abort();
    }
  }

  switch (method.methodKind) {
    case "unary":
      return unary;
    case "server_streaming":
      return (request: Message, context: HandlerContext) => stream(once(request), context);
    case "client_streaming":
      return async (requests: AsyncIterable<Message>, context: HandlerContext) => {
        for await (const response of stream(requests, context)) return response;
        throw new ConnectError("the server sent no response", Code.Internal);
      };
    case "bidi_streaming":
      return stream;
  }
}

/** Notes that the request becomes a call of the server, unless its time is up. */
function becomeCall({ signal, values }: HandlerContext): void {
  signal.throwIfAborted();
  const exchange = values.get(exchangeOf);
  if (exchange !== undefined) exchange.isCall = true;
}

/**
 * How many streams may have their first message read and sent on at a time, and for how many milliseconds each: large
 * ones take megabytes.
 */
const FIRST_MESSAGES = 16;
const FIRST_MESSAGE_MS = 5000;

const firstMessages = pLimit(FIRST_MESSAGES);

/**
 * Reads the first message of a stream in its turn, unless the call has ended by then. Meanwhile the server has been
 * asked, and has refused whoever may not call: of them, nothing is read. The turn lasts until the server takes the
 * message, for it takes none of those whom it is about to refuse.
 */
async function* beginInTurn<T>(requests: AsyncIterable<T>, ended: AbortSignal): AsyncGenerator<T> {
  const begun = Promise.withResolvers<void>();
  const sent = new AbortController();
  void firstMessages(async () => {
    begun.resolve();
    await setTimeout(FIRST_MESSAGE_MS, undefined, { signal: AbortSignal.any([sent.signal, ended]) }).catch(() => {});
  });
  await begun.promise;
  if (ended.aborted) return;
  try {
    for await (const request of requests) {
      yield request;
      sent.abort();
    }
  } finally {
    sent.abort();
  }
}

async function* once<T>(item: T): AsyncGenerator<T> {
  yield item;
}

function pick(from: Headers, names: readonly string[]): [string, string][] {
  return names.flatMap((name) => {
    const value = from.get(name);
    return value === null ? [] : [[name, value]];
  });
}

function tell(to: Headers, from: Headers): void {
  for (const [name, value] of pick(from, RESPONSE_HEADERS)) to.set(name, value);
}

/** The error for the caller: Connect sends on neither metadata nor details of an error that it has received. */
function toAnswer(error: unknown): ConnectError {
  const { rawMessage, code, metadata, details } = ConnectError.from(error);
  const answer = new ConnectError(rawMessage, code, pick(metadata, RESPONSE_HEADERS));
  answer.details = details.map((detail) => {
    const desc = "type" in detail ? DETAILS.getMessage(detail.type) : undefined;
    // With its type, Connect shows the detail as JSON as well, which people can read.
    return "type" in detail && desc !== undefined ? { desc, value: fromBinary(desc, detail.value) } : detail;
  });
  return answer;
}
