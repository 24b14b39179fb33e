import { setImmediate } from "node:timers/promises";
import pLimit, { type LimitFunction } from "p-limit";
import type { Cancellable } from "../repository/scope.ts";
import type { Bell } from "./bell.ts";

/** A log: entries in an order that never changes, to which others are added at the end. */
export interface Log<T> {
  /** The position of the last entry; 0 if there is none. */
  latest(scope: Cancellable): Promise<number>;
  /** Reads up to `limit` entries in ascending order, all of whose positions are greater than `after`. */
  list(page: { readonly after: number; readonly limit: number }, scope: Cancellable): Promise<readonly T[]>;
  /** The position of an entry. */
  positionOf(entry: T): number;
  /** Calls `wake` when there may be something new at the end. Returns a function that ends this. */
  follow(wake: () => void): () => void;
}

/** A place in a log, which moves towards its end. */
export interface Cursor<T> {
  /** The position of the last entry that was taken. */
  readonly position: number;
  /**
   * Takes some entries. If there are none, the bell of the cursor rings when there may be one. What is returned to many
   * is the same array, frozen, so that what is made of it can be kept.
   *
   * Fails as the log does, also if it did so when it was read for all. The cursor is of no use after that.
   */
  take(scope: Cancellable): Promise<readonly T[]>;
  /** Ends it. The bell does not ring any more. */
  close(): void;
}

/** So many entries are taken at a time: what somebody keeps in memory who does not go on. */
const BLOCK = 32;

/** So many of the latest entries are kept, for so many milliseconds, for cursors that are close to the end. */
const MAX_KEPT = 1024;
const MAX_KEPT_MS = 5000;

const PAGE_SIZE = 16 * BLOCK;

/** So many cursors are woken in one turn of the event loop, so that others get theirs. */
const WOKEN_PER_TURN = 25;

/** So many reads of a kind are under way at a time. */
const MAX_READS = 3;

/**
 * Does reads some at a time, so that many which begin at once wait for each other, and do not take every connection
 * from everybody else: those of single cursors, and, so that they need not wait for these, those for all at the end of
 * a log.
 */
interface Turns {
  readonly own: LimitFunction;
  readonly shared: LimitFunction;
}

/** Entries that follow on a position, and on each other. */
interface Block<T> {
  readonly after: number;
  readonly through: number;
  readonly entries: readonly T[];
  /** On the clock of performance.now(). */
  readonly readAt: number;
}

/**
 * The end of a log, which many read as it grows. What is new is read once for all who are there; who has fallen behind
 * reads at a pace of their own, from the log itself. So nobody waits for a slow reader, and there are no queues.
 */
export class Tail<T> {
  readonly #log: Log<T>;
  readonly #turns: Turns;
  readonly #onIdle: () => void;
  readonly #unfollow: () => void;
  readonly #closing = new AbortController();
  readonly #cursors = new Set<TailCursor<T>>();
  /** Each follows on the one before, up to #end. */
  readonly #blocks: Block<T>[] = [];
  #kept = 0;
  /** The position of the last entry that has been read; undefined until it is known. */
  #end: number | undefined;
  #reading = false;
  #stale = false;

  /** `onIdle` is called when the last cursor has been closed; from then on, the tail cannot be used. */
  constructor(log: Log<T>, turns: Turns, onIdle: () => void) {
    this.#log = log;
    this.#turns = turns;
    this.#onIdle = onIdle;
    this.#unfollow = log.follow(() => void this.#read());
    void this.#read();
  }

  /** Opens a cursor after a position. Its bell rings when it is worth taking something. */
  open(after: number, bell: Bell): Cursor<T> {
    const cursor = new TailCursor(this, after, bell);
    this.#cursors.add(cursor);
    return cursor;
  }

  close(cursor: TailCursor<T>): void {
    if (!this.#cursors.delete(cursor) || this.#cursors.size > 0) return;
    this.#unfollow();
    this.#closing.abort();
    this.#onIdle();
  }

  /** Some entries after a position. */
  async list(after: number, scope: Cancellable): Promise<readonly T[]> {
    this.#dropOld();
    const start = this.#blocks[0]?.after ?? this.#end;
    if (start === undefined || after < start)
      return this.#turns.own(() => this.#log.list({ after, limit: BLOCK }, scope));
    const block = this.#blocks[firstBeyond(this.#blocks, after)];
    if (block === undefined) return [];
    return block.after === after ? block.entries : block.entries.filter((entry) => this.#log.positionOf(entry) > after);
  }

  positionOf(entry: T): number {
    return this.#log.positionOf(entry);
  }

  /** Reads what is new, and once more if there may be more meanwhile. */
  async #read(): Promise<void> {
    this.#stale = true;
    if (this.#reading) return;
    this.#reading = true;
    try {
      while (this.#stale && !this.#closing.signal.aborted) {
        this.#stale = false;
        await this.#turns.shared(() => (this.#end === undefined ? this.#begin() : this.#advance(this.#end)));
      }
    } catch (error) {
      this.#drop(this.#blocks.length);
      this.#end = undefined;
      for (const cursor of this.#cursors) cursor.fail(error);
    } finally {
      this.#reading = false;
    }
  }

  async #begin(): Promise<void> {
    this.#end = await this.#log.latest(this.#closing);
    await this.#wakeAll();
  }

  async #advance(end: number): Promise<void> {
    const entries = await this.#log.list({ after: end, limit: PAGE_SIZE }, this.#closing);
    this.#keep(entries, end);
    if (entries.length === 0) return;
    this.#stale ||= entries.length === PAGE_SIZE;
    await this.#wakeAll();
  }

  #keep(entries: readonly T[], end: number): void {
    const readAt = performance.now();
    let after = end;
    for (let first = 0; first < entries.length; first += BLOCK) {
      const block = Object.freeze(entries.slice(first, first + BLOCK));
      const through = this.#log.positionOf(block.at(-1) as T);
      this.#blocks.push({ after, through, entries: block, readAt });
      this.#kept += block.length;
      after = through;
    }
    this.#end = after;
    this.#dropOld();
  }

  #dropOld(): void {
    const oldest = performance.now() - MAX_KEPT_MS;
    while (this.#kept > MAX_KEPT || (this.#blocks[0]?.readAt ?? oldest) < oldest) this.#drop(1);
  }

  #drop(count: number): void {
    for (const { entries } of this.#blocks.splice(0, count)) this.#kept -= entries.length;
  }

  async #wakeAll(): Promise<void> {
    let woken = 0;
    for (const cursor of this.#cursors) {
      cursor.wake();
      woken++;
      if (woken % WOKEN_PER_TURN === 0) await setImmediate();
    }
  }
}

class TailCursor<T> implements Cursor<T> {
  readonly #tail: Tail<T>;
  readonly #bell: Bell;
  #position: number;
  #failure: { readonly error: unknown } | undefined;

  constructor(tail: Tail<T>, position: number, bell: Bell) {
    this.#tail = tail;
    this.#position = position;
    this.#bell = bell;
  }

  get position(): number {
    return this.#position;
  }

  async take(scope: Cancellable): Promise<readonly T[]> {
    if (this.#failure !== undefined) throw this.#failure.error;
    const entries = await this.#tail.list(this.#position, scope);
    const last = entries.at(-1);
    if (last !== undefined) this.#position = this.#tail.positionOf(last);
    return entries;
  }

  wake(): void {
    this.#bell.ring();
  }

  fail(error: unknown): void {
    this.#failure = { error };
    this.#bell.ring();
  }

  close(): void {
    this.#tail.close(this);
  }
}

/** The logs that are being read, by name: the end of each is read once. */
export class Tails<T> {
  readonly #logOf: (name: string) => Log<T>;
  readonly #open = new Map<string, Tail<T>>();
  readonly #turns: Turns = { own: pLimit(MAX_READS), shared: pLimit(MAX_READS) };

  constructor(logOf: (name: string) => Log<T>) {
    this.#logOf = logOf;
  }

  /** Does a read that a call makes for itself, beside what its cursor reads, in turn with those. */
  inTurn<R>(read: () => Promise<R>): Promise<R> {
    return this.#turns.own(read);
  }

  /** How many logs are being read. */
  get size(): number {
    return this.#open.size;
  }

  /** Opens a cursor in a log, after a position. Its bell rings when it is worth taking something. */
  open(name: string, after: number, bell: Bell): Cursor<T> {
    let tail = this.#open.get(name);
    if (tail === undefined) {
      tail = new Tail(this.#logOf(name), this.#turns, () => this.#open.delete(name));
      this.#open.set(name, tail);
    }
    return tail.open(after, bell);
  }
}

/** The index of the first block that goes beyond a position. */
function firstBeyond(blocks: readonly Block<unknown>[], position: number): number {
  let low = 0;
  let high = blocks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((blocks[middle]?.through ?? 0) <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}
