import type { Metadata, ServerInterceptor } from "@grpc/grpc-js";
import { PassThrough } from "./pass-through.ts";

/** Knows the calls that are open, so that a stop can end those that outstay it. */
export class OpenCalls {
  readonly #calls = new Set<OpenCall>();
  #idle: (() => void) | undefined;

  /** Keeps every call, from its arrival until its status is on its way. */
  readonly interceptor: ServerInterceptor = (_method, call) => new OpenCall(call, this);

  /** How many calls are open. */
  get size(): number {
    return this.#calls.size;
  }

  /** Resolves when no call is open. */
  async idle(): Promise<void> {
    if (this.#calls.size > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  add(call: OpenCall): void {
    this.#calls.add(call);
  }

  delete(call: OpenCall): void {
    this.#calls.delete(call);
    if (this.#calls.size === 0) this.#idle?.();
  }

  /** Ends every open call with the status that `reason` stands for. */
  end(reason: Error): void {
    for (const call of this.#calls) call.end(reason);
  }
}

class OpenCall extends PassThrough {
  readonly #calls: OpenCalls;

  constructor(outer: PassThrough["outer"], calls: OpenCalls) {
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
