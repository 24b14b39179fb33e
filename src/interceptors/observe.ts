import { randomBytes } from "node:crypto";
import { Metadata, status } from "@grpc/grpc-js";
import { REQUEST_ID, TRACEPARENT } from "../contract/headers.ts";
import { isPiecemeal } from "../contract/piecemeal.ts";
import { keepRecord } from "../grpc/call-record.ts";
import { HeadersTooLargeError, PiecemealMessageError } from "../grpc/errors.ts";
import { isExpired } from "../grpc/expiry.ts";
import { HEADERS_TOO_LARGE } from "../grpc/header-list.ts";
import { type CallStatus, causeOf, withErrorInfo } from "../grpc/status-object.ts";
import { resetStream, unfinishedBytes, unfinishedPieces } from "../grpc/wire.ts";
import type { OpenCall, OpenCalls } from "./open-calls.ts";
import { type Interceptor, PassThrough } from "./pass-through.ts";

/** What is known of a call when it has ended. Holds nothing personal but what a cause may say. */
export interface EndedCall {
  /** The path of the method, such as `/user.v1.UserService/GetUser`. */
  readonly path: string;
  readonly code: status;
  /** Milliseconds from the arrival of the metadata to the end. */
  readonly durationMs: number;
  /** When it ended, by performance.now. */
  readonly endedAt: number;
  readonly requestId: string;
  /** The trace that the caller belongs to (W3C Trace Context), if it named one. */
  readonly traceId: string | undefined;
  /** The deadline that the client set, in milliseconds since the epoch; Infinity if it set none. */
  readonly deadline: number;
  /** Whether one message is answered by one. */
  readonly isUnary: boolean;
  /** The error behind an INTERNAL status; undefined otherwise. */
  readonly cause: unknown;
}

/** Is told of every call that has ended, once, whatever ended it. Must not throw. */
export type CallSubscriber = (ended: EndedCall) => void;

const ACCEPTED_REQUEST_ID = /^[\w.:-]{1,128}$/;
const TRACE_ID = /^[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/;

/**
 * Sees every call begin and end: keeps it among the open calls meanwhile, gives it the request id that the client sent,
 * or a new one, and tells the subscribers when it ends. Nearest to the wire, so that a call that another interceptor
 * refuses is seen as well, and every status leaves through it with an ErrorInfo and the request id.
 */
export function createObserve(openCalls: OpenCalls, subscribers: readonly CallSubscriber[]): Interceptor {
  return (method, call) => new ObservedCall(call, method, openCalls, subscribers);
}

type Method = Parameters<Interceptor>[0];

class ObservedCall extends PassThrough implements OpenCall {
  place = 0;
  readonly #method: Method;
  readonly #openCalls: OpenCalls;
  readonly #subscribers: readonly CallSubscriber[];
  readonly #start = performance.now();
  #requestId = "";
  #traceId: string | undefined;
  /** Whether the client is still to be told the request id, however the call ends. */
  #echo = false;
  #told = false;
  #ended = false;

  constructor(
    outer: PassThrough["outer"],
    method: Method,
    openCalls: OpenCalls,
    subscribers: readonly CallSubscriber[],
  ) {
    super(outer);
    this.#method = method;
    this.#openCalls = openCalls;
    this.#subscribers = subscribers;
    // grpc-js ends some calls by itself: at the client's deadline, or for a frame that it cannot decode. It does so by
    // calling sendStatus of the outermost call, past all interceptors; this is how such a status is seen.
    // A second status makes grpc-js give up on a client that does not read the first.
    const send = outer.sendStatus;
    outer.sendStatus = (given) => send.call(outer, this.#ended ? given : this.#end(given));
  }

  override onReceiveMetadata(metadata: Metadata): void {
    this.#openCalls.add(this);
    const [sent] = metadata.get(REQUEST_ID);
    this.#requestId = toRequestId(sent);
    this.#echo = this.#requestId === sent;
    this.#traceId = toTraceId(metadata.get(TRACEPARENT)[0]);
    keepRecord(metadata, { requestId: this.#requestId });
    if (sent === HEADERS_TOO_LARGE) this.refuse(new HeadersTooLargeError());
    else super.onReceiveMetadata(metadata);
  }

  // grpc-js tells a handler that has not started nothing of the end, and would start it at a late half-close.
  override onReceiveMessage(message: unknown): void {
    if (!this.#ended) super.onReceiveMessage(message);
  }

  override onReceiveHalfClose(): void {
    if (!this.#ended) super.onReceiveHalfClose();
  }

  override sendMetadata(metadata: Metadata): void {
    if (this.#ended) return;
    if (this.#echo) this.#tell(metadata);
    super.sendMetadata(metadata);
  }

  override sendMessage(message: unknown, done: () => void): void {
    if (this.#ended) return;
    if (this.#echo) this.sendMetadata(new Metadata());
    super.sendMessage(message, done);
  }

  override sendStatus(given: CallStatus): void {
    if (!this.#ended) super.sendStatus(given);
  }

  /** Ends the call from outside, with the status that `reason` stands for. */
  end(reason: Error): void {
    this.refuse(reason);
  }

  endIfPiecemeal(): void {
    if (!isPiecemeal(unfinishedPieces(this.wire), unfinishedBytes(this.wire))) return;
    if (!this.#ended) this.end(new PiecemealMessageError());
    // Whoever does not end the stream would keep them.
    resetStream(this.wire);
  }

  override onCancel(): void {
    this.#openCalls.delete(this);
    if (!this.#ended) {
      const expired = isExpired(Number(this.outer.getDeadline()));
      this.#publish(expired ? status.DEADLINE_EXCEEDED : status.CANCELLED, undefined);
    }
    super.onCancel();
  }

  /** Publishes the end, and returns the status as it is to leave. */
  #end(given: CallStatus): CallStatus {
    this.#publish(given.code, causeOf(given));
    const complete = withErrorInfo(given);
    if (this.#told || (given.code === status.OK && !this.#echo)) return complete;
    const metadata = complete.metadata ?? new Metadata();
    this.#tell(metadata);
    return { ...complete, metadata };
  }

  #tell(metadata: Metadata): void {
    metadata.set(REQUEST_ID, this.#requestId);
    this.#echo = false;
    this.#told = true;
  }

  #publish(code: status, cause: unknown): void {
    this.#ended = true;
    const endedAt = performance.now();
    const { path, requestStream, responseStream } = this.#method;
    const ended: EndedCall = {
      path,
      code,
      durationMs: endedAt - this.#start,
      endedAt,
      requestId: this.#requestId,
      traceId: this.#traceId,
      deadline: Number(this.outer.getDeadline()),
      isUnary: !requestStream && !responseStream,
      cause,
    };
    for (const subscriber of this.#subscribers) subscriber(ended);
  }
}

/** Tells the request ids of this process from those of others. */
const PROCESS_ID = randomBytes(6).toString("hex");
let requests = 0;

/** The id of a request: the one that its client has sent, if that can be one, or a new one. */
export function toRequestId(sent: unknown): string {
  if (typeof sent === "string" && ACCEPTED_REQUEST_ID.test(sent)) return sent;
  requests++;
  return `${PROCESS_ID}-${requests}`;
}

/** The trace that a `traceparent` names (W3C Trace Context); undefined if it names none. */
export function toTraceId(traceparent: unknown): string | undefined {
  return typeof traceparent === "string" ? TRACE_ID.exec(traceparent)?.[1] : undefined;
}
