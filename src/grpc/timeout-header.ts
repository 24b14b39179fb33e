import type { Http2Session, IncomingHttpHeaders } from "node:http2";
import { onSessionStart } from "./session-start.ts";

const HEADER = "grpc-timeout";

const TIMEOUT = /^(\d{1,8})([HMSmun])$/;
/** Timeouts that grpc-js reads right: whole numbers of a unit that stay below 2^31 milliseconds. */
const READ_RIGHT = /^(?:\d{1,8}[mun]|\d{1,6}S|\d{1,4}M|\d{1,2}H)$/;
const UNIT_SECONDS = new Map([
  ["H", 3600],
  ["M", 60],
  ["S", 1],
]);
/** About 24.8 days, the longest time that grpc-js and timers know. */
const MAX_SECONDS = Math.floor((2 ** 31 - 1) / 1000);
/** What grpc-js refuses to read, and tells the client in so many words. */
const MALFORMED = "not 1 to 8 digits and a unit";

/**
 * Makes grpc-js read the timeouts of requests as the specification has them ("Timeout" in gRPC over HTTP2): 1 to 8
 * digits and one of H, M, S, m, u and n. By itself it counts in 32 bits, so that 600 hours are over at once, and it
 * takes any text that holds a timeout somewhere.
 *
 * Timeouts of more than 24.8 days become 24.8 days. Whatever else the header holds, or if it comes twice, the call
 * fails with INTERNAL, as with grpc-go. Holds for all servers of the process; calling it again changes nothing.
 */
export function correctTimeouts(): void {
  onSessionStart(correctSession);
}

function correctSession(session: Http2Session): void {
  session.prependListener("stream", correctRequest);
}

function correctRequest(_stream: unknown, headers: IncomingHttpHeaders): void {
  const timeout = headers[HEADER];
  if (timeout !== undefined) headers[HEADER] = correctTimeout(String(timeout));
}

/** The value of the header that makes grpc-js do what the value that was sent asks for. */
export function correctTimeout(sent: string): string {
  if (READ_RIGHT.test(sent)) return sent;
  const [, digits, unit = ""] = TIMEOUT.exec(sent) ?? [];
  if (digits === undefined) return MALFORMED;
  return `${Math.min(Number(digits) * (UNIT_SECONDS.get(unit) ?? 0), MAX_SECONDS)}S`;
}
