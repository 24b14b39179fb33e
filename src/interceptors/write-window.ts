import { type Interceptor, PassThrough } from "./pass-through.ts";

/** How much may be under way to the socket before the handler has to wait. */
const MAX_MESSAGES = 256;
const MAX_BYTES = 64 * 1024;

/**
 * Lets the handler write ahead of the socket. grpc-js takes the next message of a call only after the one before has been
 * handed to the socket; acknowledging early, up to a bound, lets node:http2 gather many messages, and the status after
 * them, into one write. The bound keeps a client that does not read from filling the memory.
 *
 * Nearest to the handler: whatever else sees a message sees it in the handler's own time.
 */
export const writeWindow: Interceptor = (_method, call) => new WriteWindow(call);

class WriteWindow extends PassThrough {
  #messages = 0;
  #bytes = 0;
  #resume: (() => void) | undefined;

  override sendMessage(message: unknown, done: () => void): void {
    // Services of other makers hand over messages instead of bytes; theirs are small.
    const length = Buffer.isBuffer(message) ? message.length : 0;
    this.#messages++;
    this.#bytes += length;
    this.outer.sendMessage(message, () => this.#sent(length));
    if (this.#messages < MAX_MESSAGES && this.#bytes < MAX_BYTES) done();
    else this.#resume = done;
  }

  #sent(length: number): void {
    this.#messages--;
    this.#bytes -= length;
    if (this.#resume === undefined || this.#messages > MAX_MESSAGES / 2 || this.#bytes > MAX_BYTES / 2) return;
    const resume = this.#resume;
    this.#resume = undefined;
    resume();
  }
}
