import type { ServerHttp2Stream } from "node:http2";

/**
 * Takes the listeners from streams that are closed: they hold all that a call was made of.
 *
 * node:http2 keeps the open streams of a session in a Map, and V8 replaces a Map's table every few calls. A replaced
 * table refers to the streams of its time and to its successor. Once a full collection has moved one to the old
 * generation, dead or not, all that can be reached from it survives the collections of the young generation: every
 * later table, and the streams in it. Without their listeners these hold little. GetUser gained a tenth by it.
 */
export class ClosedStreams {
  #closed: ServerHttp2Stream[] = [];

  /** Takes the listeners from a stream as soon as they have been told that it is over. */
  add(stream: ServerHttp2Stream): void {
    if (this.#closed.push(stream) === 1) setImmediate(this.#release);
  }

  readonly #release = (): void => {
    const closed = this.#closed;
    this.#closed = [];
    for (const stream of closed) {
      // Its RST_STREAM has not left yet, or its last bytes are still to be read.
      if (!stream.destroyed) {
        stream.once("close", () => this.add(stream));
        continue;
      }
      // Or each of the others would be removed by itself, and this one be told.
      stream.removeAllListeners("removeListener");
      stream.removeAllListeners();
    }
  };
}
