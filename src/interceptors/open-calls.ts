import type { Metadata, ServerInterceptor } from "@grpc/grpc-js";
import { PassThrough } from "./pass-through.ts";

/** Knows the calls that are open, so that a stop can end those that outstay it. */
export class OpenCalls {
  readonly #calls = new Set<OpenCall>();

  /** Keeps every call, from its arrival until its stream is closed. */
  readonly interceptor: ServerInterceptor = (_method, call) => new OpenCall(call, this.#calls);

  /** How many calls are open. */
  get size(): number {
    return this.#calls.size;
  }

  /** Ends every open call with the status that `reason` stands for. */
  end(reason: Error): void {
    for (const call of this.#calls) call.end(reason);
  }
}

class OpenCall extends PassThrough {
  readonly #calls: Set<OpenCall>;

  constructor(outer: PassThrough["outer"], calls: Set<OpenCall>) {
    super(outer);
    this.#calls = calls;
  }

  override onReceiveMetadata(metadata: Metadata): void {
    this.#calls.add(this);
    super.onReceiveMetadata(metadata);
  }

  override onCancel(): void {
    this.#calls.delete(this);
    super.onCancel();
  }

  end(reason: Error): void {
    this.refuse(reason);
  }
}
