/** Pieces of at least so many bytes are handed on as they are, and so are the first that are smaller. */
const LARGE_BYTES = 1024;
const FREE_PIECES = 16;
const BLOCK_BYTES = 16 * 1024;

/**
 * The bytes of a body, of which small pieces are put together: Connect's handlers keep all pieces until a message is
 * whole, and in chunks of one byte they take more than a hundred times what they hold. Holds small pieces back until
 * there are enough of them, or the body ends, so it is not for streams, whose messages are waited for.
 */
export async function* gathered(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let pieces = 0;
  let block = new Uint8Array(0);
  let used = 0;
  for await (const piece of body) {
    pieces++;
    const isSmall = pieces > FREE_PIECES && piece.length < LARGE_BYTES;
    if (used > 0 && (!isSmall || used + piece.length > BLOCK_BYTES)) {
      yield block.subarray(0, used);
      used = 0;
    }
    if (!isSmall) {
      yield piece;
      continue;
    }
    if (used === 0) block = new Uint8Array(BLOCK_BYTES);
    block.set(piece, used);
    used += piece.length;
  }
  if (used > 0) yield block.subarray(0, used);
}
