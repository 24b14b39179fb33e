import { createWriteStream, type WriteStream, writeSync } from "node:fs";

/** Text that is gathered before it is written, in characters, and how long it may wait, in milliseconds. */
const CHUNK_LENGTH = 16_384;
const MAX_WAIT_MS = 50;
/** Bytes that may wait for a slow reader; beyond them, lines are dropped. */
const MAX_BACKLOG = 16 * 1024 * 1024;

/**
 * Gathers log lines and writes them in large pieces, off the event loop: at thousands of lines a second, this costs a
 * fraction of what writing each would. A reader that stops reading costs lines, not memory.
 */
export class LogBuffer {
  readonly #fd: number;
  readonly #stream: WriteStream;
  #text = "";
  #timer: NodeJS.Timeout | undefined;
  #dropped = 0;

  /** Writes to this file descriptor, which stays open. What is left when the process exits is written then. */
  constructor(fd: number) {
    this.#fd = fd;
    this.#stream = createWriteStream("", { fd, autoClose: false, highWaterMark: MAX_BACKLOG });
    // Nobody can be told that the log cannot be written.
    this.#stream.on("error", () => {});
    process.on("exit", () => this.#writeNow());
  }

  /** Takes a line, with its line break. */
  write(line: string): void {
    this.#text += line;
    if (this.#text.length >= CHUNK_LENGTH) this.#send();
    else this.#timer ??= setTimeout(() => this.#send(), MAX_WAIT_MS).unref();
  }

  /** Resolves when all lines so far are written. */
  async flush(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#send(resolve);
    await promise;
  }

  #send(done?: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const text = this.#take();
    if (this.#stream.writableLength > MAX_BACKLOG) this.#dropped += text.split("\n").length - 1;
    else this.#stream.write(text, done);
  }

  #writeNow(): void {
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
    const notice = `${JSON.stringify({ level: "warn", time: new Date(), dropped: this.#dropped, msg: "log lines dropped" })}\n`;
    this.#dropped = 0;
    return notice + text;
  }
}
