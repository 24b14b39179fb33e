import type { ClientHttp2Stream } from "node:http2";

/**
 * All that a stream receives. The iterator of node:stream fails if it is first asked for something when the stream is
 * already closed, though all of the answer is there to be read.
 */
export async function* received(stream: ClientHttp2Stream): AsyncGenerator<Buffer> {
  let onNews = (): void => {};
  for (const event of ["readable", "end", "close"]) stream.on(event, () => onNews());
  for (;;) {
    const bytes: Buffer | null = stream.read();
    if (bytes !== null) yield bytes;
    else if (stream.readableEnded || stream.destroyed) return;
    else {
      await new Promise<void>((resolve) => {
        onNews = resolve;
      });
    }
  }
}
