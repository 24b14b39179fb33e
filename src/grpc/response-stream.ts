import { once } from "node:events";
import type { Message } from "@bufbuild/protobuf";
import type { ServerDuplexStream, ServerWritableStream } from "@grpc/grpc-js";
import { Batches } from "../service/batches.ts";
import type { CallContext } from "./call-context.ts";
import { toFailure } from "./failure.ts";
import type { LiveStream, LiveStreams } from "./live-streams.ts";
import { lastingPacks, packsOf } from "./packs.ts";

/** The sending half of a call whose response is a stream. */
export type ResponseStream = ServerWritableStream<Message, Buffer> | ServerDuplexStream<Message, Buffer>;

/**
 * Sends what a handler yields, no faster than the client reads, and then its status. A handler of a stream without a
 * deadline is called off when the server stops.
 */
export async function sendResponses<T>(
  call: ResponseStream,
  context: CallContext,
  respond: () => AsyncIterable<T>,
  { encode, live }: { encode: (response: T) => Buffer; live: LiveStreams | undefined },
): Promise<void> {
  const stream: LiveStream = {
    stop(reason) {
      context.abort(reason);
      fail(call, context, reason);
    },
  };
  live?.add(stream);
  try {
    await pump(call, context, respond(), encode, live !== undefined);
    call.end(context.takeTrailers());
  } catch (error) {
    fail(call, context, error);
  } finally {
    live?.delete(stream);
  }
}

async function pump<T>(
  call: ResponseStream,
  context: CallContext,
  responses: AsyncIterable<T>,
  encode: (response: T) => Buffer,
  isLive: boolean,
): Promise<void> {
  let headersSent = false;
  let onEnd = (): void => {};
  if (isLive) context.signal.addEventListener("abort", () => onEnd(), { once: true });
  /** Writes a response, or several as one, and tells whether the client keeps up. */
  const write = (bytes: Buffer, onTaken?: () => void): boolean => {
    context.throwIfEnded();
    if (!headersSent) context.sendHeaders();
    headersSent = true;
    return call.write(bytes, onTaken);
  };
  /** Writes, and waits until the write window has taken it. */
  const writeThrough = (bytes: Buffer): Promise<void> =>
    new Promise((resolve) => {
      onEnd = resolve;
      write(bytes, resolve);
    });
  const drained = () => once(call, "drain", { signal: context.signal });

  if (responses instanceof Batches) {
    for await (const batch of (responses as Batches<T>).batches) {
      if (isLive) for (const pack of lastingPacks(batch, encode)) await writeThrough(pack);
      else for (const pack of packsOf(batch, encode)) if (!write(pack)) await drained();
    }
  } else {
    for await (const response of responses) if (!write(encode(response))) await drained();
  }
  context.throwIfEnded();
  if (!headersSent) context.sendHeaders();
}

function fail(call: ResponseStream, context: CallContext, error: unknown): void {
  if (call.cancelled || call.writableEnded) return;
  // grpc-js's way to end a response stream with a status; destroying the stream would send none.
  call.emit("error", toFailure(error, context));
}
