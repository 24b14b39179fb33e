/** Why a connection was refused or cut off. */
export type CutReason =
  | "too_many_connections"
  | "too_many_of_address"
  | "no_first_request"
  | "bytes_without_call"
  | "too_many_control_frames"
  | "too_many_instant_cancels"
  | "keepalive_timeout"
  | "outstayed"
  | "overload"
  | "accept_failed";

/** Is told how many connections were cut off, by reason. */
export type CutReport = (counts: Readonly<Partial<Record<CutReason, number>>>) => void;

const REPORT_MS = 10_000;

/**
 * Counts the connections that were cut off, so that thousands of them make few log lines. Holds no address, which is
 * personal.
 */
export class CutConnections {
  readonly #report: CutReport;
  readonly #counts = new Map<CutReason, number>();
  #reportedAt = Number.NEGATIVE_INFINITY;

  constructor(report: CutReport) {
    this.#report = report;
  }

  /** Counts one. The first is reported at once, others ten seconds after the last report, at a flush. */
  add(reason: CutReason): void {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
    this.flush(performance.now());
  }

  /** Reports what was counted since the last report, if that is due at this time (of performance.now). */
  flush(now: number): void {
    if (this.#counts.size === 0 || now - this.#reportedAt < REPORT_MS) return;
    this.#reportedAt = now;
    this.#report(Object.fromEntries(this.#counts));
    this.#counts.clear();
  }
}
