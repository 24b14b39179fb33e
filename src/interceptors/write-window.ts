import { type Interceptor, PassThrough } from "./pass-through.ts";

/** How much may be under way to the socket before the handler has to wait. */
interface Width {
  readonly messages: number;
  readonly bytes: number;
}

const WIDE: Width = { messages: 256, bytes: 64 * 1024 };
/** For streams that nothing ends, of which thousands may stay open unread. */
const NARROW: Width = { messages: 64, bytes: 4 * 1024 };

/**
 * Lets the handler write ahead of the socket. grpc-js takes the next message of a call only after the one before has
 * been handed to the socket; acknowledging early, up to a bound, lets node:http2 gather many messages, and the status
 * after them, into one write. The bound keeps a client that does not read from filling the memory.
 *
 * Nearest to the handler: whatever else sees a message sees it in the handler's own time.
 *
 * `isLive` says whether the streams of a method live until someone ends them. If the client only listens on such a
 * stream, the bound is narrow.
 */
export function createWriteWindow(isLive: (path: string) => boolean): Interceptor {
  return ({ path, requestStream }, call) => new WriteWindow(call, !requestStream && isLive(path) ? NARROW : WIDE);
}

class WriteWindow extends PassThrough {
  readonly #width: Width;
  #messages = 0;
  #bytes = 0;
  #resume: (() => void) | undefined;

  constructor(outer: PassThrough["outer"], width: Width) {
    super(outer);
    this.#width = width;
  }

  override sendMessage(message: unknown, done: () => void): void {
    // Services of other makers hand over messages instead of bytes; theirs are small.
    const length = Buffer.isBuffer(message) ? message.length : 0;
    this.#messages++;
    this.#bytes += length;
    this.outer.sendMessage(message, () => this.#sent(length));
    if (this.#messages < this.#width.messages && this.#bytes < this.#width.bytes) done();
    else this.#resume = done;
  }

  #sent(length: number): void {
    this.#messages--;
    this.#bytes -= length;
    const { messages, bytes } = this.#width;
    if (this.#resume === undefined || this.#messages > messages / 2 || this.#bytes > bytes / 2) return;
    const resume = this.#resume;
    this.#resume = undefined;
    resume();
  }
}
