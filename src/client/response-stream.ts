import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type ClientDuplexStream, status } from "@grpc/grpc-js";
import { type CallStatus, toConnectError } from "./call-error.ts";
import type { CallScope } from "./call-scope.ts";
import { addHeaders, toHeaders } from "./metadata.ts";

/**
 * The responses of a call, read no faster than they are asked for. What came before an error is handed out before it,
 * unless this side called the call off. Leaving a `for await` early cancels the call.
 */
export class ResponseStream implements AsyncIterableIterator<Message> {
  /** Complete when the last response has been handed out. */
  readonly trailer: Headers = new Headers();
  readonly #call: ClientDuplexStream<Buffer, Message>;
  readonly #scope: CallScope;
  readonly #header = Promise.withResolvers<Headers>();
  readonly #ended = new AbortController();
  #receivedHeader = new Headers();
  #status: CallStatus | undefined;
  #news = Promise.withResolvers<void>();

  constructor(call: ClientDuplexStream<Buffer, Message>, scope: CallScope) {
    this.#call = call;
    this.#scope = scope;
    scope.signal.addEventListener("abort", this.#wake);
    call.on("readable", this.#wake);
    call.on("metadata", (metadata) => {
      this.#receivedHeader = toHeaders(metadata);
      scope.notes.add(this.#receivedHeader);
      this.#header.resolve(this.#receivedHeader);
    });
    // Comes before a status other than OK, and says no more than it.
    call.on("error", () => {});
    call.on("status", (received) => this.#end(received));
  }

  /** The response headers. Rejects if the call fails before they come. */
  get header(): Promise<Headers> {
    return this.#header.promise;
  }

  /** Aborted when the call has ended, however it did. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  async next(): Promise<IteratorResult<Message, undefined>> {
    for (;;) {
      this.#scope.signal.throwIfAborted();
      const message: Message | null = this.#call.read();
      if (message !== null) return { done: false, value: message };
      if (this.#status !== undefined) return this.#outcome(this.#status);
      await this.#news.promise;
    }
  }

  async return(): Promise<IteratorResult<Message, undefined>> {
    this.#scope.abort(new ConnectError("the responses are not wanted any more", Code.Canceled));
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  readonly #wake = (): void => {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  };

  #end(received: CallStatus): void {
    this.#status = received;
    const trailer = toHeaders(received.metadata);
    this.#scope.notes.add(trailer);
    this.#scope.end(received.code === status.OK ? undefined : received.code);
    this.#ended.abort();
    addHeaders(this.trailer, trailer);
    // A call that fails before it has headers has none.
    if (received.code === status.OK) this.#header.resolve(this.#receivedHeader);
    else this.#header.reject(toConnectError(received, this.#receivedHeader));
    this.#wake();
  }

  #outcome(received: CallStatus): IteratorReturnResult<undefined> {
    if (received.code !== status.OK) throw toConnectError(received, this.#receivedHeader);
    return { done: true, value: undefined };
  }
}
