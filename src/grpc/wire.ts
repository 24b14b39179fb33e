/**
 * What has to be known of a call and grpc-js has no public way to ask: the only file that reads private fields of grpc-js
 * (it changes none). Should they move, the functions say that there is nothing to know, and tests fail.
 */
import { Readable } from "node:stream";
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";

/** The part of a node:http2 session that is needed here. */
interface Session {
  readonly destroyed: boolean;
  ping(answered: (error: Error | null) => void): boolean;
}

/** The PINGs of a connection: one that is under way, and one that is to follow it. */
interface Pings {
  current?: Promise<void> | undefined;
  next?: Promise<void> | undefined;
}

const pingsOf = new WeakMap<Session, Pings>();

/**
 * Waits until the client has answered an HTTP/2 PING sent after now. By then everything has arrived that the client had
 * handed to its HTTP/2 before the PING reached it, in whatever order it meant to write. Returns at once if the connection
 * is broken. All calls of a connection share their PINGs, of which Node allows few at a time.
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
  const session = read(read(wire, "stream"), "session");
  return typeof session === "object" && session !== null && "ping" in session ? (session as Session) : undefined;
}

/** Stands for the connection of a call: the same object for all of its calls. Undefined if there is nothing to know. */
export function connectionOf(wire: ServerInterceptingCallInterface): object | undefined {
  return sessionOf(wire);
}

/** Whether bytes of an unfinished message have arrived, which grpc-js would drop without a word. */
export function endsInsideMessage(wire: ServerInterceptingCallInterface): boolean {
  const state = read(read(wire, "decoder"), "readState");
  return state !== undefined && state !== 0;
}

function read(from: unknown, name: string): unknown {
  return typeof from === "object" && from !== null ? Reflect.get(from, name) : undefined;
}

/**
 * The flag of the message that has begun last (gRPC over HTTP2, Compressed-Flag), which is that of the message which has just
 * arrived unless more of them came at once. grpc-js takes every flag but 1 for 0, and 1 for 0 where the call names no encoding.
 */
export function messageFlag(wire: ServerInterceptingCallInterface): number {
  const flag = read(read(wire, "decoder"), "readCompressFlag");
  return Buffer.isBuffer(flag) ? (flag[0] ?? 0) : 0;
}

/** The encoding that the call states for its compressed messages; `identity` if it states none. */
export function requestEncoding(wire: ServerInterceptingCallInterface): string {
  const encoding = read(wire, "incomingEncoding");
  return typeof encoding === "string" ? encoding : "identity";
}

/** How many messages have arrived that nobody has taken, decompressed or about to be. */
export function queuedMessages(wire: ServerInterceptingCallInterface): number {
  const queue = read(wire, "readQueue");
  return Array.isArray(queue) ? queue.filter((entry) => read(entry, "type") !== "HALF_CLOSE").length : 0;
}

/**
 * Calls `arrived` when bytes of the request are there to be read, or its end, before grpc-js reads them; possibly more than once. Returns
 * what stops it, after which grpc-js reads.
 */
export function onInput(wire: ServerInterceptingCallInterface, arrived: () => void): () => void {
  const stream = read(wire, "stream");
  if (!(stream instanceof Readable) || stream.readableEnded) {
    queueMicrotask(arrived);
    return () => {};
  }
  stream.on("readable", arrived).on("end", arrived);
  return () => stream.off("readable", arrived).off("end", arrived);
}
