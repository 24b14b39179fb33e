import { isatty } from "node:tty";
import pino, { type Logger } from "pino";
import pretty from "pino-pretty";
import type { Config } from "./config.ts";
import { LogBuffer } from "./log-buffer.ts";

const STDOUT = 1;

/** A logger, and a way to wait until what it has logged is written. */
export interface ProcessLogger {
  readonly logger: Logger;
  flush(): Promise<void>;
}

/** Makes the logger of the process: lines of JSON on stdout, or something to read if that is a terminal. */
export function createLogger({ logLevel, logFormat }: Pick<Config, "logLevel" | "logFormat">): ProcessLogger {
  const terminal = isatty(STDOUT);
  const format = logFormat ?? (terminal ? "pretty" : "json");
  const options = { level: logLevel, base: null, timestamp: timeField, formatters: { level: levelField } };
  if (format === "pretty") {
    return { logger: pino(options, pretty({ colorize: terminal, sync: true })), flush: async () => {} };
  }
  const buffer = new LogBuffer(STDOUT);
  return { logger: pino(options, buffer), flush: () => buffer.flush() };
}

function levelField(label: string): { level: string } {
  return { level: label };
}

let lastTime = Number.NaN;
let lastField = "";

/** The time as a piece of JSON, made once a millisecond. */
function timeField(): string {
  const now = Date.now();
  if (now !== lastTime) {
    lastTime = now;
    lastField = `,"time":"${new Date(now).toISOString()}"`;
  }
  return lastField;
}
