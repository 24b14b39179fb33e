import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Something that is wrong with a file. Lines and columns count from 1; 0 if it is about the file as a whole. */
export interface Finding {
  /** As a path from the working directory; empty if it is about no file. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Which rule is broken: one of buf's (https://buf.build/docs/lint/rules), or one of ours. */
  readonly rule: string;
  readonly message: string;
}

/** How a program ended. */
export interface ProgramEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const BUF = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));

/** What buf prints for each violation. */
interface Violation {
  readonly path?: string;
  readonly start_line?: number;
  readonly start_column?: number;
  readonly type: string;
  readonly message: string;
}

/** Runs a program to its end, whatever that is. */
export function runProgram(file: string, args: readonly string[], cwd: string): Promise<ProgramEnd> {
  return new Promise((resolve) => {
    execFile(file, args, { cwd, maxBuffer: 2 ** 28 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code) || 1, stdout, stderr });
    });
  });
}

/** Runs buf. */
export function runBuf(args: readonly string[], cwd: string): Promise<ProgramEnd> {
  return runProgram(process.execPath, [BUF, ...args], cwd);
}

/**
 * Runs a command of buf's that reports violations, and returns them. What else goes wrong is a finding about no file.
 */
export async function findWithBuf(args: readonly string[], cwd: string): Promise<Finding[]> {
  const { code, stdout, stderr } = await runBuf([...args, "--error-format=json"], cwd);
  if (code === 0) return [];
  // Faults of syntax come on the other stream.
  const lines = `${stdout}\n${stderr}`.split("\n").filter((line) => line.startsWith("{"));
  if (lines.length === 0) return [failed("BUF", stderr || stdout)];
  return lines.map((line) => toFinding(JSON.parse(line) as Violation));
}

/** A finding about no file: something could not be done. */
export function failed(rule: string, message: string): Finding {
  return { file: "", line: 0, column: 0, rule, message: message.trim() };
}

function toFinding({ path = "", start_line = 0, start_column = 0, type, message }: Violation): Finding {
  return { file: path, line: start_line, column: start_column, rule: type, message };
}
