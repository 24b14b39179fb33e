import { Code, ConnectError } from "@connectrpc/connect";
import { isPiecemeal } from "../contract/piecemeal.ts";

/** A flag and a length stand before each message of a stream. */
const HEAD_BYTES = 5;

/**
 * The bytes of a stream, unless a message of it arrives in a great many small pieces: Connect's handlers keep them until
 * the message is whole, and count them all at each. Then it fails with RESOURCE_EXHAUSTED.
 */
export async function* unlessPiecemeal(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const head = Buffer.alloc(HEAD_BYTES);
  let headUsed = 0;
  let left = 0;
  let pieces = 0;
  let bytes = 0;
  for await (const piece of body) {
    pieces++;
    bytes += piece.length;
    for (let at = 0; at < piece.length; ) {
      if (headUsed < HEAD_BYTES) {
        head[headUsed++] = piece[at++] ?? 0;
        if (headUsed === HEAD_BYTES) left = head.readUInt32BE(1);
      } else {
        const taken = Math.min(left, piece.length - at);
        left -= taken;
        at += taken;
      }
      if (headUsed === HEAD_BYTES && left === 0) {
        headUsed = 0;
        pieces = 0;
        bytes = 0;
      }
    }
    if (isPiecemeal(pieces, bytes)) {
      throw new ConnectError("a message arrives in too many pieces", Code.ResourceExhausted);
    }
    yield piece;
  }
}
