/** Items that come in batches, as many at a time as there are. */
export interface Batched<T> extends AsyncIterable<T> {
  readonly batches: AsyncIterable<readonly T[]>;
}

/** The items in batches, as they come; one by one where they do not come in batches. */
export function batchesOf<T>(items: AsyncIterable<T> | Batched<T>): AsyncIterable<readonly T[]> {
  return "batches" in items ? items.batches : singly(items);
}

async function* singly<T>(items: AsyncIterable<T>): AsyncGenerator<readonly T[]> {
  for await (const item of items) yield [item];
}

/**
 * The items of several batches, one by one. Whoever can do more with a whole batch at a time than with its items, takes
 * `batches` instead: an item that is waited for costs more than many that are there.
 */
export class Batches<T> implements Batched<T> {
  /** Can be iterated once, here or item by item. */
  readonly batches: AsyncIterable<readonly T[]>;

  constructor(batches: AsyncIterable<readonly T[]>) {
    this.batches = batches;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for await (const batch of this.batches) yield* batch;
  }
}

const givenAway = new WeakSet<readonly unknown[]>();

/**
 * Marks a batch that nobody looks at again but who takes it, and returns it. So it need not stay in memory while it is
 * sent.
 */
export function giveAway<T>(batch: readonly T[]): readonly T[] {
  givenAway.add(batch);
  return batch;
}

/** Empties a batch if it was given away. */
export function letGo(batch: readonly unknown[]): void {
  if (givenAway.has(batch)) (batch as unknown[]).length = 0;
}
