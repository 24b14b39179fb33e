/** How long a slot is, in milliseconds. */
export const SLOT_MS = 250;

/** What the load generator is to do. */
export interface OverloadOrder {
  readonly port: number;
  readonly path: string;
  readonly token: string;
  /** The body of every call, in base64. */
  readonly body: string;
  readonly connections: number;
  /** Calls that are always open while the peak is measured. */
  readonly peakCalls: number;
  readonly deadlineMs: number;
  /** By how much the calls are too many. */
  readonly factor: number;
  readonly seconds: {
    readonly warmUp: number;
    readonly peak: number;
    readonly overload: number;
    readonly after: number;
  };
}

/** Calls that arrived within a piece of time, and what became of them. */
export interface Slot {
  readonly fromMs: number;
  readonly toMs: number;
  offered: number;
  /** Answered before the deadline. */
  good: number;
  /** Ended by the server with a status before the deadline. */
  refused: number;
  /** Neither: cancelled at the deadline, some of them before there was room to send them. */
  lost: number;
}

/** What came of it. */
export interface OverloadReport {
  /** Answers per second at the peak. */
  readonly peak: number;
  /** Milliseconds that answers took at the peak. */
  readonly peakLatency: { readonly p50: number; readonly p99: number };
  /** From the start of the overload on. */
  readonly slots: readonly Slot[];
  readonly overloadMs: number;
  readonly reconnects: number;
}
