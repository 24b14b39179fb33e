import { write, writeSync } from "node:fs";

/** Text that is gathered before it is written, in characters, and how long it may wait, in milliseconds. */
const CHUNK_LENGTH = 16_384;
const MAX_WAIT_MS = 50;
/** Text that may wait for a slow reader, in characters; beyond it, lines are dropped. */
const MAX_BACKLOG = 16 * 1024 * 1024;
/** How long to wait before a full pipe is tried again, and how long a flush may take at most, in milliseconds. */
const RETRY_MS = 10;
const MAX_FLUSH_MS = 1000;

/**
 * Gathers log lines and writes them in large pieces, off the event loop: at thousands of lines a second, this costs a
 * fraction of what writing each would. A reader that is too slow, or gone, costs lines, never memory or a stop.
 */
export class LogBuffer {
  readonly #fd: number;
  #text = "";
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing = false;
  #flushed: (() => void)[] = [];

  /** Writes to this file descriptor, which stays open. What is left when the process exits is written then. */
  constructor(fd: number) {
    this.#fd = fd;
    process.on("exit", () => this.#writeRest());
  }

  /** Takes a line, with its line break. */
  write(line: string): void {
    if (this.#text.length >= MAX_BACKLOG) {
      this.#dropped++;
      return;
    }
    this.#text += line;
    if (this.#text.length >= CHUNK_LENGTH) this.#send();
    else this.#timer ??= setTimeout(() => this.#send(), MAX_WAIT_MS).unref();
  }

  /** Resolves when all lines so far are written, or when waiting for it is in vain. */
  async flush(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#flushed.push(resolve);
    setTimeout(resolve, MAX_FLUSH_MS).unref();
    this.#send();
    await promise;
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#writing) return;
    const text = this.#take();
    if (text === "") {
      for (const resolve of this.#flushed.splice(0)) resolve();
      return;
    }
    this.#writing = true;
    this.#writeAll(Buffer.from(text));
  }

  #writeAll(bytes: Buffer): void {
    write(this.#fd, bytes, (error, written) => {
      if (error?.code === "EAGAIN") {
        setTimeout(() => this.#writeAll(bytes), RETRY_MS);
      } else if (error === null && written < bytes.length) {
        this.#writeAll(bytes.subarray(written));
      } else {
        // After any other error the reader has gone, and with it all who could be told.
        this.#writing = false;
        this.#send();
      }
    });
  }

  #writeRest(): void {
    // Beside a write under way: lines out of order are better than lines lost. A stop in good order has flushed before.
    try {
      writeSync(this.#fd, this.#take());
    } catch {
      // The reader has gone.
    }
  }

  #take(): string {
    const text = this.#text;
    this.#text = "";
    if (this.#dropped === 0) return text;
    const notice = { level: "warn", time: new Date(), dropped: this.#dropped, msg: "log lines dropped" };
    this.#dropped = 0;
    return `${text}${JSON.stringify(notice)}\n`;
  }
}
