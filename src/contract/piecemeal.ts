/** Up to so many pieces of a message are let be, and more if they have so many bytes each. */
const FREE_PIECES = 256;
const BYTES_PER_PIECE = 64;

/**
 * Whether the message that is arriving comes in more pieces than it may: whoever puts it together keeps a Buffer for
 * each until it is whole, and a Buffer takes a hundred bytes. In pieces of one byte, a megabyte takes a hundred.
 */
export function isPiecemeal(pieces: number, bytes: number): boolean {
  return pieces > FREE_PIECES && pieces > FREE_PIECES + bytes / BYTES_PER_PIECE;
}
