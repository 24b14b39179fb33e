import { randomFillSync } from "node:crypto";

/** Random bytes are fetched many at a time, for each fetch costs more than an id. */
const pool = Buffer.allocUnsafe(6 * 512);
const RANDOM_BYTES = 6;
let used = pool.length;

/** The counter fills rand_a (12 bits) and the head of rand_b (14 bits). */
const MAX_COUNTER = 2 ** 26 - 1;

let lastMs = 0;
let counter = 0;
let timePart = "";

/**
 * Makes a UUIDv7 (RFC 9562) that is greater than all this process has made before: the time in milliseconds, a counter of
 * 26 bits, and 48 random bits. Should the clock step back or the counter run over, time goes on from the latest id.
 */
export function newUserId(): string {
  const now = Date.now();
  if (now > lastMs) startMs(now);
  else if (counter === MAX_COUNTER) startMs(lastMs + 1);
  else counter++;

  const high = counter >>> 14;
  const low = counter & 0x3fff;
  return `${timePart}-${hex(0x7000 | high)}-${hex(0x8000 | low)}-${randomHex()}`;
}

function startMs(ms: number): void {
  lastMs = ms;
  counter = 0;
  const time = ms.toString(16).padStart(12, "0");
  timePart = `${time.slice(0, 8)}-${time.slice(8)}`;
}

function hex(fourDigits: number): string {
  return fourDigits.toString(16);
}

function randomHex(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const start = used;
  used += RANDOM_BYTES;
  return pool.toString("hex", start, used);
}
