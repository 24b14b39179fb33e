import { once } from "node:events";
import type { Message } from "@bufbuild/protobuf";
import type { ServerDuplexStream, ServerWritableStream } from "@grpc/grpc-js";
import { Batches } from "../service/batches.ts";
import type { CallContext } from "./call-context.ts";
import { toFailure } from "./failure.ts";
import type { LiveStream, LiveStreams } from "./live-streams.ts";
import { packMessages } from "./packed-messages.ts";

/**
 * Bytes after which messages that are there together are written. A client that does not read costs 16 of these beside the
 * write window, because grpc-js's streams hold 16 writes; on a live stream, which may stay unread for days, it costs one.
 */
const PACK_BYTES = 4 * 1024;

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
      for (const pack of packsOf(batch, encode)) {
        if (isLive) await writeThrough(pack);
        else if (!write(pack)) await drained();
      }
    }
  } else {
    for await (const response of responses) if (!write(encode(response))) await drained();
  }
  context.throwIfEnded();
  if (!headersSent) context.sendHeaders();
}

/** Packs of batches that are frozen, because they go to many clients. */
const sharedPacks = new WeakMap<readonly unknown[], readonly Buffer[]>();

/** A batch as it is written. */
function packsOf<T>(batch: readonly T[], encode: (response: T) => Buffer): Iterable<Buffer> {
  if (!Object.isFrozen(batch)) return inPacks(batch, encode);
  const packs = sharedPacks.get(batch) ?? [...inPacks(batch, encode)];
  sharedPacks.set(batch, packs);
  return packs;
}

/** The encoded responses of a batch, packed in groups large enough to be worth a write. */
function* inPacks<T>(batch: readonly T[], encode: (response: T) => Buffer): Generator<Buffer> {
  let pack: Buffer[] = [];
  let bytes = 0;
  for (const response of batch) {
    const message = encode(response);
    pack.push(message);
    bytes += message.length;
    if (bytes < PACK_BYTES) continue;
    yield packMessages(pack);
    pack = [];
    bytes = 0;
  }
  if (pack.length > 0) yield packMessages(pack);
}

function fail(call: ResponseStream, context: CallContext, error: unknown): void {
  if (call.cancelled || call.writableEnded) return;
  // grpc-js's way to end a response stream with a status; destroying the stream would send none.
  call.emit("error", toFailure(error, context));
}
