import type { Message } from "@bufbuild/protobuf";
import type { ServerDuplexStream, ServerReadableStream } from "@grpc/grpc-js";
import type { Batched } from "../service/batches.ts";
import type { CallContext } from "./call-context.ts";

/** So many messages are in a batch at most. */
const MAX_BATCH = 64;

/** The receiving half of a call whose request is a stream. */
export type RequestStream = ServerReadableStream<Message, Buffer> | ServerDuplexStream<Message, Buffer>;

/**
 * The request messages, read no faster than the handler takes them. The end of the iteration means the client's
 * half-close; a call that ends before throws the reason. Takes one `next` at a time, as `for await` does. Leaving the
 * iteration early leaves the call open, so that a status can be sent; the stream's own iterator would destroy it.
 */
export class RequestMessages implements AsyncIterableIterator<Message>, Batched<Message> {
  readonly #call: RequestStream;
  readonly #context: CallContext;
  #wake: (() => void) | undefined;

  constructor(call: RequestStream, context: CallContext) {
    this.#call = call;
    this.#context = context;
    const wake = (): void => this.#wake?.();
    call.on("readable", wake).on("end", wake).on("close", wake);
    // A stop of the server ends the context, and later the call.
    context.signal.addEventListener("abort", wake, { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Message, undefined>> {
    for (;;) {
      this.#context.throwIfEnded();
      const value: Message | null = this.#call.read();
      if (value !== null) return { done: false, value };
      if (this.#call.readableEnded) return { done: true, value: undefined };
      await this.#news();
    }
  }

  /** The same messages, as many at a time as are there. */
  readonly batches: AsyncIterable<readonly Message[]> = {
    [Symbol.asyncIterator]: () => ({ next: () => this.#nextBatch() }),
  };

  async #nextBatch(): Promise<IteratorResult<readonly Message[], undefined>> {
    for (;;) {
      this.#context.throwIfEnded();
      const value = this.#readAll();
      if (value.length > 0) return { done: false, value };
      if (this.#call.readableEnded) return { done: true, value: undefined };
      await this.#news();
    }
  }

  #readAll(): Message[] {
    const messages: Message[] = [];
    while (messages.length < MAX_BATCH) {
      const message: Message | null = this.#call.read();
      if (message === null) break;
      messages.push(message);
    }
    return messages;
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
