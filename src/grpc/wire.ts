/**
 * What has to be known of a call and grpc-js has no public way to ask: the only file that reads private fields of
 * grpc-js (it changes none). Should they move, the functions say that there is nothing to know, and tests fail.
 */
import { constants } from "node:http2";
import { Readable } from "node:stream";
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";

/** The part of a node:http2 session that is needed here. */
interface Session {
  readonly destroyed: boolean;
  ping(answered: (error: Error | null) => void): boolean;
}

/** What grpc-js keeps private of a call, as far as it is there. Typed, so that each field is read in the quick way. */
interface Privates {
  readonly stream?: { readonly session?: Session; close?(code: number): void };
  readonly decoder?: {
    readonly readState?: number;
    readonly readCompressFlag?: Uint8Array;
    readonly readPartialMessage?: readonly unknown[];
    readonly readMessageSize?: number;
    readonly readMessageRemaining?: number;
  };
  readonly incomingEncoding?: string;
  readonly readQueue?: readonly { readonly type?: string }[];
}

/** The PINGs of a connection: one that is under way, and one that is to follow it. */
interface Pings {
  current?: Promise<void> | undefined;
  next?: Promise<void> | undefined;
}

const pingsOf = new WeakMap<Session, Pings>();

/**
 * Waits until the client has answered an HTTP/2 PING sent after now. By then everything has arrived that the client had
 * handed to its HTTP/2 before the PING reached it, in whatever order it meant to write. Returns at once if the
 * connection is broken. All calls of a connection share their PINGs, of which Node allows few at a time.
 */
export async function roundTrip(wire: ServerInterceptingCallInterface): Promise<void> {
  const session = sessionOf(wire);
  if (session === undefined || session.destroyed) return;
  const pings = pingsOf.get(session) ?? {};
  pingsOf.set(session, pings);
  if (pings.current === undefined) {
    await sendPing(session, pings);
    return;
  }
  // The one under way may have reached the client already.
  pings.next ??= pings.current.then(() => {
    pings.next = undefined;
    return sendPing(session, pings);
  });
  await pings.next;
}

function sendPing(session: Session, pings: Pings): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = (): void => {
    pings.current = undefined;
    resolve();
  };
  pings.current = promise;
  if (session.destroyed || !session.ping(done)) done();
  return promise;
}

function sessionOf(wire: ServerInterceptingCallInterface): Session | undefined {
  const session = privatesOf(wire).stream?.session;
  return session?.ping === undefined ? undefined : session;
}

/** Stands for the connection of a call: the same object for all of its calls. Undefined if there is nothing to know. */
export function connectionOf(wire: ServerInterceptingCallInterface): object | undefined {
  return sessionOf(wire);
}

/** Whether bytes of an unfinished message have arrived, which grpc-js would drop without a word. */
export function endsInsideMessage(wire: ServerInterceptingCallInterface): boolean {
  return (privatesOf(wire).decoder?.readState ?? 0) !== 0;
}

/** How many pieces the message consists of that is arriving, a DATA frame each. */
export function unfinishedPieces(wire: ServerInterceptingCallInterface): number {
  return privatesOf(wire).decoder?.readPartialMessage?.length ?? 0;
}

/** How many bytes of the message have arrived that is arriving. */
export function unfinishedBytes(wire: ServerInterceptingCallInterface): number {
  const { readMessageSize = 0, readMessageRemaining = 0 } = privatesOf(wire).decoder ?? {};
  return readMessageSize - readMessageRemaining;
}

/** Resets the stream of a call with ENHANCE_YOUR_CALM, which clients of gRPC take for RESOURCE_EXHAUSTED. */
export function resetStream(wire: ServerInterceptingCallInterface): void {
  privatesOf(wire).stream?.close?.(constants.NGHTTP2_ENHANCE_YOUR_CALM);
}

function privatesOf(wire: ServerInterceptingCallInterface): Privates {
  return wire as unknown as Privates;
}

/**
 * The flag of the message that has begun last (gRPC over HTTP2, Compressed-Flag), which is that of the message which
 * has just arrived unless more of them came at once. grpc-js takes every flag but 1 for 0, and 1 for 0 where the call
 * names no encoding.
 */
export function messageFlag(wire: ServerInterceptingCallInterface): number {
  return privatesOf(wire).decoder?.readCompressFlag?.[0] ?? 0;
}

/** The encoding that the call states for its compressed messages; `identity` if it states none. */
export function requestEncoding(wire: ServerInterceptingCallInterface): string {
  return privatesOf(wire).incomingEncoding ?? "identity";
}

/** How many messages have arrived that nobody has taken, decompressed or about to be. */
export function queuedMessages(wire: ServerInterceptingCallInterface): number {
  return (privatesOf(wire).readQueue ?? []).filter(({ type }) => type !== "HALF_CLOSE").length;
}

/**
 * Calls `arrived` when bytes of the request are there to be read, or its end, before grpc-js reads them; possibly more
 * than once. Returns what stops it, after which grpc-js reads.
 */
export function onInput(wire: ServerInterceptingCallInterface, arrived: () => void): () => void {
  const stream: unknown = privatesOf(wire).stream;
  if (!(stream instanceof Readable) || stream.readableEnded) {
    queueMicrotask(arrived);
    return () => {};
  }
  stream.on("readable", arrived).on("end", arrived);
  return () => stream.off("readable", arrived).off("end", arrived);
}
