/** What connections may do. Zero stands for no limit. */
export interface ConnectionLimits {
  /** How many connections the process keeps. */
  readonly maxConnections: number;
  /** How many of them one address may have; see addressGroup. */
  readonly maxPerAddress: number;
  /** How many calls a connection may have open at a time. */
  readonly maxConcurrentStreams: number;
  /** Milliseconds that a new connection has until its first call has begun. */
  readonly firstRequestTimeoutMs: number;
  /** Milliseconds without a call after which a connection is closed. */
  readonly idleTimeoutMs: number;
  /** Milliseconds after which a connection, and a stream without a deadline, has to begin anew. */
  readonly maxAgeMs: number;
  /** Milliseconds after which a connection is asked again whether its peer is there. */
  readonly keepaliveTimeMs: number;
  /** Milliseconds that the peer has to answer. */
  readonly keepaliveTimeoutMs: number;
  /** How many frames that ask for an answer and move no call a connection may send in a minute. */
  readonly maxControlFrames: number;
  /** How many calls a connection may open and cancel in one go in a second; see InstantCancels. */
  readonly maxInstantCancels: number;
  /** Whether whole connections are shed; see LoadShedding. */
  readonly shedsConnections: boolean;
  /** How large the headers of a call may be; see headerListSize. */
  readonly maxHeaderListSize: number;
}

/** How often connections are looked at, in milliseconds, unless a limit is less than four times that. */
const SWEEP_MS = 1000;

/**
 * How often connections are looked at for these limits, in milliseconds, so that none is overdrawn by more than a
 * quarter.
 */
export function sweepMs(limits: ConnectionLimits): number {
  const { firstRequestTimeoutMs, idleTimeoutMs, maxAgeMs, keepaliveTimeMs, keepaliveTimeoutMs } = limits;
  const times = [firstRequestTimeoutMs, idleTimeoutMs, maxAgeMs, keepaliveTimeMs, keepaliveTimeoutMs];
  return Math.max(1, Math.min(SWEEP_MS, ...times.filter((ms) => ms > 0).map((ms) => ms / 4)));
}

/** Whether a value has reached a limit, of which zero is none. */
export function isReached(limit: number, value: number): boolean {
  return limit > 0 && value >= limit;
}
