/**
 * The items of several batches, one by one. Whoever can do more with a whole batch at a time than with its items, takes
 * `batches` instead: an item that is waited for costs more than many that are there.
 */
export class Batches<T> implements AsyncIterable<T> {
  /** Can be iterated once, here or item by item. */
  readonly batches: AsyncIterable<readonly T[]>;

  constructor(batches: AsyncIterable<readonly T[]>) {
    this.batches = batches;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for await (const batch of this.batches) yield* batch;
  }
}
