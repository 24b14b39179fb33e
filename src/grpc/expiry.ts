/**
 * How far the clock that ends a call may be ahead of this one. A client gives up by its own, and its reset may overtake
 * the server's timer by about as long as the metadata took; timers fire up to a millisecond before Date.now says so.
 */
const CLOCK_LEAD_MS = 20;

/**
 * Whether a call that ends now without a status has run out of time, rather than been cancelled: its deadline, in
 * milliseconds since the epoch, has passed or is as near as the clocks may differ. That of a call which has less time
 * than that is always.
 */
export function isExpired(deadline: number): boolean {
  return Date.now() >= deadline - CLOCK_LEAD_MS;
}
