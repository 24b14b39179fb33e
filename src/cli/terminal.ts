import { once } from "node:events";
import { styleText } from "node:util";

/** Where a command writes. */
export type Output = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

/** What a command has to do with: the three streams, the environment, and the user's wish that it ends. */
export interface Terminal {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly environment: NodeJS.ProcessEnv;
  /**
   * Is aborted when the command is to end: by the first Ctrl-C or SIGTERM, or because nobody reads its output any more.
   * Who looks at it takes the first signal over from Node.js, which would end the process; the second one does.
   */
  readonly interrupted: AbortSignal;
}

/**
 * The terminal of this process. A reader who leaves, as `head` does, is no error: what would be written then is lost.
 */
export function processTerminal(): Terminal {
  const interruption = new AbortController();
  let listens = false;
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      interruption.abort();
    });
  }
  const { stdin, stdout, stderr, env: environment } = process;
  return {
    stdin,
    stdout,
    stderr,
    environment,
    get interrupted() {
      if (!listens) for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => interruption.abort());
      listens = true;
      return interruption.signal;
    },
  };
}

/** Writes, and waits while the reader is slower. */
export async function write(terminal: Terminal, text: string): Promise<void> {
  if (terminal.stdout.write(text) || terminal.interrupted.aborted) return;
  // Nobody reads any more, or the user does not want to wait: both end the command.
  await once(terminal.stdout, "drain", { signal: terminal.interrupted }).catch(() => {});
}

/** Colours a text where people see colours: on a terminal, unless NO_COLOR is set (https://no-color.org). */
export function paint(terminal: Terminal, format: Parameters<typeof styleText>[0], text: string): string {
  if (!terminal.stdout.isTTY || terminal.environment.NO_COLOR) return text;
  return styleText(format, text, { validateStream: false });
}

/**
 * Control characters, with which a text of somebody else's could command the terminal, and those that turn the
 * direction of writing.
 */
const COMMANDING = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu;

/** What of a text of somebody else's can be shown, on one line. */
export function printable(text: string): string {
  return text.replaceAll(COMMANDING, " ");
}
