import { ChangesExpiredError } from "../../domain/errors.ts";
import type { Change, ChangeKind, ChangeLog, ChangeRetention } from "../change-log.ts";

/** Keeps the changes of a repository in the memory of this process. No method waits. */
export class MemoryChangeLog implements ChangeLog {
  readonly #retention: ChangeRetention;
  // Columns, because a million small objects would keep the garbage collector busy. The change at an index has the
  // revision #offset + index.
  readonly #userIds: string[] = [];
  readonly #kinds: ChangeKind[] = [];
  readonly #times: number[] = [];
  /** The index of the first change that is kept. Those before it go many at a time. */
  #start = 0;
  #offset = 1;

  constructor(retention: ChangeRetention) {
    this.#retention = retention;
  }

  /** Adds a change of this moment, and forgets those that are no longer kept. */
  append(kind: ChangeKind, userId: string, now = Date.now()): void {
    this.#userIds.push(userId);
    this.#kinds.push(kind);
    this.#times.push(now);
    this.#forget(now);
  }

  async latest(): Promise<number> {
    return this.#latest;
  }

  async list({ after, limit }: { readonly after: number; readonly limit: number }): Promise<Change[]> {
    this.#forget(Date.now());
    const from = after + 1 - this.#offset;
    if (from < this.#start) throw new ChangesExpiredError();
    return this.#userIds.slice(from, from + limit).map((userId, index) => ({
      revision: after + 1 + index,
      userId,
      kind: this.#kinds[from + index] as ChangeKind,
      changedAt: this.#times[from + index] as number,
    }));
  }

  get #latest(): number {
    return this.#offset + this.#userIds.length - 1;
  }

  #forget(now: number): void {
    const { maxCount, maxAgeMs } = this.#retention;
    const oldest = now - maxAgeMs;
    this.#start = Math.max(this.#start, this.#userIds.length - maxCount);
    while ((this.#times[this.#start] ?? Number.POSITIVE_INFINITY) < oldest) this.#start++;
    if (this.#start <= this.#userIds.length / 2) return;

    for (const column of [this.#userIds, this.#kinds, this.#times]) column.splice(0, this.#start);
    this.#offset += this.#start;
    this.#start = 0;
  }
}
