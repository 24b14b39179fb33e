import { randomFillSync } from "node:crypto";
const pool = Buffer.allocUnsafe(6 * 512);
const RANDOM_BYTES = 6;
let used = pool.length;
const MAX_COUNTER = 2 ** 26 - 1;
let lastMs = 0;
let counter = 0;
const text = Buffer.from("00000000-0000-7000-8000-000000000000", "latin1");
const DIGITS = Buffer.from("0123456789abcdef", "latin1");
const RAND_A = 14;
const RAND_B = 19;
const NODE = 24;
export function newUserId() {
    const now = Date.now();
    if (now > lastMs)
        startMs(now);
    else if (counter === MAX_COUNTER)
        startMs(lastMs + 1);
    else
        counter++;
    writeHex(RAND_A, 0x7000 | (counter >>> 14));
    writeHex(RAND_B, 0x8000 | (counter & 0x3fff));
    writeRandom();
    return text.toString("latin1");
}
function startMs(ms) {
    lastMs = ms;
    counter = 0;
    const time = ms.toString(16).padStart(12, "0");
    text.write(`${time.slice(0, 8)}-${time.slice(8)}`, "latin1");
}
function writeHex(at, value) {
    for (let place = 0; place < 4; place++)
        writeDigit(at + place, value >>> (12 - 4 * place));
}
function writeRandom() {
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
function writeDigit(at, value) {
    text[at] = DIGITS[value & 0xf] ?? 0;
}
