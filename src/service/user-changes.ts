import type { Bus } from "../bus/bus.ts";
import { ChangesExpiredError } from "../domain/errors.ts";
import type { ChangeLog } from "../repository/change-log.ts";
import type { Cancellable } from "../repository/scope.ts";
import { CHANGES_TOPIC } from "./change-feed.ts";

const PAGE_SIZE = 500;

/** What is read here is for many, so that nobody calls it off. */
const SCOPE: Cancellable = { signal: new AbortController().signal, timeoutMs: () => 2000 };

/**
 * Tells which users may have changed, to those who care about a few of them: the log of changes is read once for all.
 */
export class UserChanges {
  readonly #log: ChangeLog;
  readonly #bus: Bus;
  readonly #watchers = new Map<string, Set<() => void>>();
  /** The revision up to which the watchers have been told; undefined if that is not known. */
  #position: number | undefined;
  #unfollow: (() => void) | undefined;
  #reading = false;
  #stale = false;

  constructor(log: ChangeLog, bus: Bus) {
    this.#log = log;
    this.#bus = bus;
  }

  /** How many users are watched. */
  get size(): number {
    return this.#watchers.size;
  }

  /**
   * Calls `onChange` after each change of a user, maybe more often, and at the beginning, from which on no change is
   * missed. Returns a function that ends this.
   */
  watch(userId: string, onChange: () => void): () => void {
    const watchers = this.#watchers.get(userId) ?? new Set();
    this.#watchers.set(userId, watchers.add(onChange));
    if (this.#unfollow === undefined) {
      this.#unfollow = this.#bus.follow(CHANGES_TOPIC, () => void this.#read());
      void this.#read();
    } else if (this.#position !== undefined) {
      onChange();
    }
    return () => {
      watchers.delete(onChange);
      if (watchers.size === 0 && this.#watchers.get(userId) === watchers) this.#watchers.delete(userId);
      if (this.#watchers.size === 0) this.#rest();
    };
  }

  #rest(): void {
    this.#unfollow?.();
    this.#unfollow = undefined;
    this.#position = undefined;
  }

  /** Reads what is new, and once more if there may be more meanwhile. */
  async #read(): Promise<void> {
    this.#stale = true;
    if (this.#reading) return;
    this.#reading = true;
    while (this.#stale && this.#unfollow !== undefined) {
      this.#stale = false;
      try {
        await (this.#position === undefined ? this.#begin() : this.#advance(this.#position));
      } catch (error) {
        // Everybody is told when the log can be read again. The bus sees to it that it is tried.
        this.#position = undefined;
        this.#stale ||= error instanceof ChangesExpiredError;
      }
    }
    this.#reading = false;
  }

  async #begin(): Promise<void> {
    const latest = await this.#log.latest(SCOPE);
    if (this.#unfollow === undefined) return;
    this.#position = latest;
    for (const userId of [...this.#watchers.keys()]) this.#tell(userId);
  }

  async #advance(position: number): Promise<void> {
    const changes = await this.#log.list({ after: position, limit: PAGE_SIZE }, SCOPE);
    // Whoever came back after a rest begins anew.
    if (this.#position !== position) return;
    this.#position = changes.at(-1)?.revision ?? position;
    this.#stale ||= changes.length === PAGE_SIZE;
    for (const userId of new Set(changes.map((change) => change.userId))) this.#tell(userId);
  }

  #tell(userId: string): void {
    for (const onChange of this.#watchers.get(userId) ?? []) onChange();
  }
}
