import pLimit from "p-limit";

/** Writes several items at once, and returns the results in their order. */
export type WriteAll<T, R> = (key: string, items: readonly T[]) => Promise<readonly R[]>;

/** So many items go into one write. */
const MAX_ITEMS = 200;

/** So many writes are under way at a time, so that connections are left for others. */
const MAX_WRITES = 3;

interface Waiting<T, R> {
  readonly item: T;
  resolve(result: R): void;
  reject(error: unknown): void;
}

/**
 * Writes the items of many callers with few transactions: what is handed in for a key while a write is under way goes
 * together into the next one (group commit). Of one key, items are written in the order in which they were handed in;
 * of many keys, some at a time.
 */
export class JointWrites<T, R> {
  readonly #writeAll: WriteAll<T, R>;
  readonly #inTurn = pLimit(MAX_WRITES);
  readonly #queues = new Map<string, Waiting<T, R>[]>();

  constructor(writeAll: WriteAll<T, R>) {
    this.#writeAll = writeAll;
  }

  /** Writes an item. Fails as the write does that it is part of, or the one before that. */
  write(key: string, item: T): Promise<R> {
    return new Promise((resolve, reject) => {
      const queue = this.#queues.get(key);
      if (queue !== undefined) {
        queue.push({ item, resolve, reject });
        return;
      }
      this.#queues.set(key, [{ item, resolve, reject }]);
      // With all that is handed in in this turn of the event loop.
      setImmediate(() => void this.#work(key));
    });
  }

  async #work(key: string): Promise<void> {
    const queue = this.#queues.get(key) ?? [];
    while (queue.length > 0) {
      const batch = queue.splice(0, MAX_ITEMS);
      try {
        const items = batch.map(({ item }) => item);
        const results = await this.#inTurn(() => this.#writeAll(key, items));
        for (const [index, { resolve }] of batch.entries()) resolve(results[index] as R);
      } catch (error) {
        // What waits goes with it: it must not take effect without what was handed in before.
        for (const { reject } of [...batch, ...queue.splice(0)]) reject(error);
      }
    }
    this.#queues.delete(key);
  }
}
