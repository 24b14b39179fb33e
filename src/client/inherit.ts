import { type CallOptions, Code, ConnectError, createContextKey, createContextValues } from "@connectrpc/connect";
import type { Metadata } from "@grpc/grpc-js";
import { REQUEST_ID, TRACEPARENT } from "../contract/headers.ts";

/** What of a handler's context matters here, as Connect has it. */
export interface IncomingContext {
  readonly signal: AbortSignal;
  readonly requestHeader: Headers;
  timeoutMs(): number | undefined;
}

/** What of a handler's call matters here, as grpc-js has it, for all four kinds. */
export interface IncomingCall {
  readonly metadata: Metadata;
  readonly cancelled: boolean;
  getDeadline(): Date | number;
  once(event: "cancelled", listener: () => void): unknown;
}

/** What is kept back of what an incoming call leaves. */
export interface InheritOptions {
  /**
   * Time that is left to answer the incoming call when the outgoing one has run out of its own, in milliseconds; 50 by
   * default.
   */
  readonly reserveMs?: number;
}

/** Marks calls whose timeout is what another call has left: they take no longer than they would have anyway. */
export const inheritedKey = createContextKey(false, { description: "the timeout is that of another call" });

const RESERVE_MS = 50;
const PASSED_ON = [REQUEST_ID, TRACEPARENT, "tracestate"];

/**
 * Options for a call that is made on behalf of an incoming one: `client.getUser(request, inherit(context))`. It ends
 * when the incoming call is cancelled, and shortly before its deadline, or at its own default deadline if that is
 * sooner; it carries the same `x-request-id`, `traceparent` and `tracestate`. Fails with DEADLINE_EXCEEDED at once if
 * no more than the reserve is left.
 *
 * Takes the HandlerContext of Connect, or any call of a grpc-js server.
 */
export function inherit(
  incoming: IncomingContext | IncomingCall,
  { reserveMs = RESERVE_MS }: InheritOptions = {},
): CallOptions {
  const { signal, leftMs, header } = "metadata" in incoming ? readCall(incoming) : readContext(incoming);
  const headers = new Headers();
  for (const name of PASSED_ON) {
    const value = header(name);
    if (value !== null) headers.set(name, value);
  }
  if (leftMs === undefined) return { headers, signal };
  const timeoutMs = leftMs - reserveMs;
  if (timeoutMs > 0) {
    return { headers, signal, timeoutMs, contextValues: createContextValues().set(inheritedKey, true) };
  }
  const tooLate = new ConnectError("the incoming call leaves no time", Code.DeadlineExceeded);
  return { headers, signal: AbortSignal.abort(tooLate) };
}

interface Incoming {
  readonly signal: AbortSignal;
  readonly leftMs: number | undefined;
  header(name: string): string | null;
}

function readContext(context: IncomingContext): Incoming {
  const { signal, requestHeader } = context;
  return { signal, leftMs: context.timeoutMs(), header: (name) => requestHeader.get(name) };
}

function readCall(call: IncomingCall): Incoming {
  const deadline = Number(call.getDeadline());
  return {
    signal: signalOf(call),
    leftMs: Number.isFinite(deadline) ? deadline - Date.now() : undefined,
    header(name) {
      const [value] = call.metadata.get(name);
      return typeof value === "string" ? value : null;
    },
  };
}

/** One for each call, however many are made on its behalf. */
const signals = new WeakMap<IncomingCall, AbortSignal>();

function signalOf(call: IncomingCall): AbortSignal {
  const known = signals.get(call);
  if (known !== undefined) return known;
  const controller = new AbortController();
  const abort = () => controller.abort(new ConnectError("the incoming call was cancelled", Code.Canceled));
  if (call.cancelled) abort();
  else call.once("cancelled", abort);
  signals.set(call, controller.signal);
  return controller.signal;
}
