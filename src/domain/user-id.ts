import { randomFillSync } from "node:crypto";

/** Random bytes are fetched many at a time, for each fetch costs more than an id. */
const pool = Buffer.allocUnsafe(6 * 512);
const RANDOM_BYTES = 6;
let used = pool.length;

/** The counter fills rand_a (12 bits) and the head of rand_b (14 bits). */
const MAX_COUNTER = 2 ** 26 - 1;

let lastMs = 0;
let counter = 0;

/**
 * The latest id. Written here digit by digit, and then copied, because a text put together from pieces takes twice the
 * time.
 */
const text = Buffer.from("00000000-0000-7000-8000-000000000000", "latin1");
const DIGITS = Buffer.from("0123456789abcdef", "latin1");
const RAND_A = 14;
const RAND_B = 19;
const NODE = 24;

/**
 * Makes a UUIDv7 (RFC 9562) that is greater than all this process has made before: the time in milliseconds, a counter
 * of 26 bits, and 48 random bits. Should the clock step back or the counter run over, time goes on from the latest id.
 */
export function newUserId(): string {
  const now = Date.now();
  if (now > lastMs) startMs(now);
  else if (counter === MAX_COUNTER) startMs(lastMs + 1);
  else counter++;

  writeHex(RAND_A, 0x7000 | (counter >>> 14));
  writeHex(RAND_B, 0x8000 | (counter & 0x3fff));
  writeRandom();
  return text.toString("latin1");
}

function startMs(ms: number): void {
  lastMs = ms;
  counter = 0;
  const time = ms.toString(16).padStart(12, "0");
  text.write(`${time.slice(0, 8)}-${time.slice(8)}`, "latin1");
}

/** Writes a number of 16 bits. */
function writeHex(at: number, value: number): void {
  for (let place = 0; place < 4; place++) writeDigit(at + place, value >>> (12 - 4 * place));
}

function writeRandom(): void {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  for (let place = 0; place < RANDOM_BYTES; place++) {
    const byte = pool[used++] ?? 0;
    writeDigit(NODE + 2 * place, byte >>> 4);
    writeDigit(NODE + 2 * place + 1, byte);
  }
}

function writeDigit(at: number, value: number): void {
  text[at] = DIGITS[value & 0xf] ?? 0;
}
