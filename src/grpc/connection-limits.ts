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
  /** How large the headers of a call may be; see headerListSize. */
  readonly maxHeaderListSize: number;
}
