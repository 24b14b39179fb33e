import { PassThrough, Writable } from "node:stream";
import { runCommandLine } from "../../src/cli/command-line.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import type { ScriptEnd } from "./script.ts";

/** What keeps what was written, and lets a test wait for it. */
class Recorder extends Writable {
  isTTY = false;
  columns = 80;
  text = "";
  #onText = () => {};

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    this.#onText();
    done();
  }

  /** Resolves when the pattern has been written. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.text);
      if (match !== null) return match;
      await new Promise<void>((resolve) => {
        this.#onText = resolve;
      });
    }
  }
}

/** A command that runs in this process. */
export interface RunningCommand {
  readonly stdin: PassThrough;
  readonly stdout: Recorder;
  readonly stderr: Recorder;
  /** What Ctrl-C does. */
  interrupt(): void;
  readonly end: Promise<ScriptEnd>;
}

/** Starts a command line of `user-service` in this process, as on a terminal or not. */
export function startCommand(
  args: readonly string[],
  { environment = {}, tty = false }: { environment?: Record<string, string>; tty?: boolean } = {},
): RunningCommand {
  const interruption = new AbortController();
  const [stdin, stdout, stderr] = [new PassThrough(), new Recorder(), new Recorder()];
  stdout.isTTY = tty;
  stderr.isTTY = tty;
  const terminal: Terminal = {
    stdin: Object.assign(stdin, { isTTY: tty }),
    stdout,
    stderr,
    environment,
    interrupted: interruption.signal,
  };
  const end = runCommandLine(args, terminal).then((code) => ({ code, stdout: stdout.text, stderr: stderr.text }));
  return { stdin, stdout, stderr, interrupt: () => interruption.abort(), end };
}

/** Runs a command line of `user-service` in this process to its end. */
export function runCommand(args: readonly string[], environment: Record<string, string> = {}): Promise<ScriptEnd> {
  return startCommand(args, { environment }).end;
}
