/**
 * Applies a function to each item. Unlike a generator it passes `return` on at once, even while an item is awaited, so
 * that the source can let go of what it holds.
 */
export function mapAsync<T, R>(items: AsyncIterable<T>, change: (item: T) => R): AsyncIterable<R> {
  return {
    [Symbol.asyncIterator]() {
      const source = items[Symbol.asyncIterator]();
      return {
        async next() {
          const { done, value } = await source.next();
          return done ? { done, value: undefined } : { done: false, value: change(value) };
        },
        async return() {
          await source.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}
