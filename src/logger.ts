import pino, { type Logger } from "pino";
import pretty from "pino-pretty";
import type { Config } from "./config.ts";

/**
 * Makes the logger of the process: lines of JSON on stdout, or something to read if it is a terminal. Lines are written
 * asynchronously; `flush` waits for them, and the end of the process writes what is left.
 */
export function createLogger({ logLevel, logFormat }: Pick<Config, "logLevel" | "logFormat">): Logger {
  const format = logFormat ?? (process.stdout.isTTY ? "pretty" : "json");
  const stream =
    format === "pretty" ? pretty({ colorize: process.stdout.isTTY }) : pino.destination({ fd: 1, sync: false });
  const formatters = { level: (label: string) => ({ level: label }) };
  return pino({ level: logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters }, stream);
}
