import { isUtf8 } from "node:buffer";
import { unreadable } from "./file-row.ts";

const LINE_FEED = 0x0a;

/**
 * The same chunks, which together are UTF-8, without a byte order mark.
 *
 * @throws InvalidInputError naming the line, if they are not.
 */
export async function* utf8Chunks(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let line = 1;
  let rest: Buffer = Buffer.alloc(0);
  let started = false;
  for await (const chunk of chunks) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const end = bytes.length - cutOffLength(bytes);
    const whole = bytes.subarray(0, end);
    rest = bytes.subarray(end);
    if (!isUtf8(whole)) throw notUtf8(lineOfFault(whole, line));
    line += countLineFeeds(whole);
    if (whole.length > 0) yield started ? whole : withoutMark(whole);
    started ||= whole.length > 0;
  }
  if (rest.length > 0) throw notUtf8(line);
}

/** How many bytes at the end begin a character that goes on behind it. */
function cutOffLength(bytes: Buffer): number {
  for (let length = 1; length <= Math.min(3, bytes.length); length++) {
    const byte = bytes[bytes.length - length] ?? 0;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) return sequenceLength(byte) > length ? length : 0;
  }
  return 0;
}

function sequenceLength(lead: number): number {
  if (lead >= 0xf0) return 4;
  return lead >= 0xe0 ? 3 : 2;
}

function withoutMark(bytes: Buffer): Buffer {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

/** The line of the first fault in bytes that begin on a line. No character goes beyond a line. */
function lineOfFault(bytes: Buffer, first: number): number {
  let line = first;
  let start = 0;
  for (;;) {
    const end = bytes.indexOf(LINE_FEED, start);
    if (end === -1 || !isUtf8(bytes.subarray(start, end))) return line;
    start = end + 1;
    line++;
  }
}

function countLineFeeds(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(LINE_FEED); at !== -1; at = bytes.indexOf(LINE_FEED, at + 1)) count++;
  return count;
}

function notUtf8(line: number): Error {
  return unreadable("UTF8_INVALID", `must be UTF-8, as line ${line} is not`);
}
