import type { CallOptions } from "@connectrpc/connect";

/**
 * Makes a call whose responses stream end when its caller stops reading them, by leaving a `for await` loop. With
 * Connect's client alone it would go on until its deadline.
 */
export function cancelOnReturn<I, O>(
  call: (request: I, options: CallOptions) => AsyncIterable<O>,
): (request: I, options?: CallOptions) => AsyncIterableIterator<O> {
  return (request, options = {}) => {
    const leaving = new AbortController();
    const signal = options.signal === undefined ? leaving.signal : AbortSignal.any([options.signal, leaving.signal]);
    const responses = call(request, { ...options, signal })[Symbol.asyncIterator]();
    const done = (): IteratorResult<O> => ({ done: true, value: undefined });
    return {
      next: async () => (leaving.signal.aborted ? done() : responses.next()),
      async return() {
        leaving.abort();
        return done();
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  };
}
