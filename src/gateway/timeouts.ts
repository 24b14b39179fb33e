import type { IncomingHttpHeaders } from "node:http";

/** The longest timeout that gRPC can state in milliseconds, more than a day. Timers lose count a little later. */
const LONGEST_MS = 99_999_999;
const TIMEOUT = /^(\d{1,10})([HMS]?)$/;
const UNIT_MS = new Map([
  ["H", 3_600_000],
  ["M", 60_000],
  ["S", 1000],
]);

/**
 * Makes a request ask for a day where it asks for longer, in the header of Connect (milliseconds) or of gRPC-Web: no
 * method has so late a deadline. Other timeouts stay as they are, also those that are none.
 */
export function shortenTimeouts(headers: IncomingHttpHeaders): void {
  if (isTooLong(headers["connect-timeout-ms"])) headers["connect-timeout-ms"] = String(LONGEST_MS);
  if (isTooLong(headers["grpc-timeout"])) headers["grpc-timeout"] = `${LONGEST_MS}m`;
}

function isTooLong(timeout: string | string[] | undefined): boolean {
  const [, digits, unit = ""] = TIMEOUT.exec(String(timeout)) ?? [];
  return Number(digits) * (UNIT_MS.get(unit) ?? 1) > LONGEST_MS;
}
