import { once } from "node:events";
import type { Message } from "@bufbuild/protobuf";
import type { ClientDuplexStream } from "@grpc/grpc-js";

/**
 * Sends requests, no faster than the server takes them, and then half-closes the call. When the call ends before they
 * do, their source is told to stop.
 *
 * @throws what the source throws, and what `encode` throws.
 */
export async function sendRequests(
  call: ClientDuplexStream<Buffer, Message>,
  requests: AsyncIterable<Message>,
  encode: (request: Message) => Buffer,
  ended: AbortSignal,
): Promise<void> {
  const source = requests[Symbol.asyncIterator]();
  const stop = () => void release(source);
  // Not only between two requests: a source may wait for something that never comes.
  ended.addEventListener("abort", stop);
  while (!ended.aborted) {
    const next = await source.next();
    if (ended.aborted) return;
    if (next.done) {
      ended.removeEventListener("abort", stop);
      call.end();
      return;
    }
    if (!call.write(encode(next.value))) await drained(call, ended);
  }
}

/** Waits until the call takes more, or has ended. */
async function drained(call: ClientDuplexStream<Buffer, Message>, ended: AbortSignal): Promise<void> {
  try {
    await once(call, "drain", { signal: ended });
  } catch {
    // The call has ended, and its responses tell why.
  }
}

async function release(source: AsyncIterator<Message>): Promise<void> {
  try {
    await source.return?.();
  } catch {
    // Nobody waits for the source any more.
  }
}
