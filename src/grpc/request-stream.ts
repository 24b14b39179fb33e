import type { Message } from "@bufbuild/protobuf";
import type { ServerDuplexStream, ServerReadableStream } from "@grpc/grpc-js";
import type { CallContext } from "./call-context.ts";

/** The receiving half of a call whose request is a stream. */
export type RequestStream = ServerReadableStream<Message, Buffer> | ServerDuplexStream<Message, Buffer>;

/**
 * The request messages, read no faster than the handler takes them. The end of the iteration means the client's
 * half-close; a call that ends before throws the reason.
 */
export async function* receiveRequests(call: RequestStream, context: CallContext): AsyncGenerator<Message> {
  // Leaving the loop early must not destroy the stream, for then no status could be sent.
  const messages: AsyncIterable<Message> = call.iterator({ destroyOnReturn: false });
  try {
    for await (const message of messages) yield message;
  } catch (error) {
    context.throwIfEnded();
    throw error;
  }
  context.throwIfEnded();
}
