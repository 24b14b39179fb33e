import type { CallOptions } from "@connectrpc/connect";
import { EXPECTED_COUNT } from "../contract/headers.ts";

/** The requests of a client stream. */
export type Requests<I> = Iterable<I> | AsyncIterable<I>;

/**
 * Lets a client-streaming call take any iterable. An array's length is sent along, so that a stream that was cut on its
 * way is never taken for a complete one.
 */
export function takeIterables<I, O>(
  call: (requests: AsyncIterable<I>, options: CallOptions) => Promise<O>,
): (requests: Requests<I>, options?: CallOptions) => Promise<O> {
  return (requests, options = {}) => {
    if (Symbol.asyncIterator in requests) return call(requests, options);
    return call(each(requests), Array.isArray(requests) ? expecting(requests.length, options) : options);
  };
}

function expecting(count: number, options: CallOptions): CallOptions {
  const headers = new Headers(options.headers);
  if (!headers.has(EXPECTED_COUNT)) headers.set(EXPECTED_COUNT, String(count));
  return { ...options, headers };
}

async function* each<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}
