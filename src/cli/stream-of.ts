/** Yields the items, and then ends: a stream of requests. */
export async function* streamOf<T>(...items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}
