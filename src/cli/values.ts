import { UsageError } from "./command.ts";

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** Timers hold no more. */
const MAX_MS = 2 ** 31 - 1;

/**
 * Reads a duration as the settings have it, such as `10s`, in milliseconds.
 *
 * @throws UsageError if it is none, or none above zero.
 */
export function readDuration(option: string, text: string): number {
  const [, digits, unit = ""] = /^(\d{1,9})(ms|s|m|h)$/.exec(text) ?? [];
  const ms = Number(digits) * (UNIT_MS[unit] ?? Number.NaN);
  if (ms > 0 && ms <= MAX_MS) return ms;
  throw new UsageError(`--${option} must be a whole number with the unit ms, s, m or h, such as 10s`);
}

/**
 * Reads a whole number within limits.
 *
 * @throws UsageError if it is none.
 */
export function readCount(option: string, text: string, least: number, most: number): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (count >= least && count <= most) return count;
  throw new UsageError(`--${option} must be a whole number from ${least} to ${most}`);
}
