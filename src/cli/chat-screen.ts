import { clearScreenDown, createInterface, cursorTo, type Interface, moveCursor } from "node:readline";
import type { Terminal } from "./terminal.ts";

const PROMPT = "> ";

/** The lines that come in, and those that go out: on a terminal, above what is being typed. */
export class ChatScreen implements Disposable {
  readonly #terminal: Terminal;
  readonly #input: Interface;
  readonly #leaving = new AbortController();
  readonly #onInterrupted = () => this.#leave();
  #closed = false;

  constructor(terminal: Terminal) {
    const { stdin: input, stdout: output, interrupted } = terminal;
    this.#terminal = terminal;
    const isTerminal = input.isTTY === true && output.isTTY === true;
    this.#input = createInterface({ input, ...(isTerminal && { output, terminal: true }), prompt: PROMPT });
    this.#input.on("close", () => {
      this.#closed = true;
    });
    // Where it reads each key, Ctrl-C is one of them.
    this.#input.on("SIGINT", this.#onInterrupted);
    interrupted.addEventListener("abort", this.#onInterrupted);
  }

  /** Aborted when the user does not want to stay, not even until all is posted. */
  get left(): AbortSignal {
    return this.#leaving.signal;
  }

  /** What is typed, or comes through a pipe. To be called once. */
  async *lines(): AsyncGenerator<string> {
    this.#prompt();
    for await (const line of this.#input) {
      this.#erase(line);
      yield line;
      this.#prompt();
    }
  }

  /** Writes a line to stdout. */
  print(text: string): void {
    this.#above(() => this.#terminal.stdout.write(`${text}\n`));
  }

  /** Writes a line to stderr. */
  note(text: string): void {
    this.#above(() => this.#terminal.stderr.write(`${text}\n`));
  }

  /** Reads no further. */
  [Symbol.dispose](): void {
    this.#terminal.interrupted.removeEventListener("abort", this.#onInterrupted);
    if (this.#closed) return;
    this.#clear();
    this.#input.close();
  }

  #leave(): void {
    this.#leaving.abort();
    this[Symbol.dispose]();
  }

  /** Takes back what was typed: it comes back from the room, with its time. */
  #erase(line: string): void {
    if (!this.#input.terminal) return;
    const { stdout } = this.#terminal;
    moveCursor(stdout, 0, -Math.ceil((PROMPT.length + line.length + 1) / (stdout.columns || 80)));
    clearScreenDown(stdout);
  }

  #above(write: () => void): void {
    this.#clear();
    write();
    this.#prompt();
  }

  /** Takes away what is being typed. */
  #clear(): void {
    if (!this.#input.terminal || this.#closed) return;
    const { stdout } = this.#terminal;
    moveCursor(stdout, 0, -this.#input.getCursorPos().rows);
    cursorTo(stdout, 0);
    clearScreenDown(stdout);
  }

  #prompt(): void {
    if (this.#input.terminal && !this.#closed) this.#input.prompt(true);
  }
}
