import type { Random } from "../random.ts";

/** Makes other bytes of some. */
type Mutation = (bytes: Buffer, random: Random) => Buffer;

const EDGES = [0, 1, 0x7f, 0x80, 0xff] as const;
/** Names that objects of JavaScript have by birth. */
const BORN = ["__proto__", "constructor", "toString", "hasOwnProperty", "prototype"] as const;
/** No UTF-8: overlong, a surrogate, beyond Unicode, cut. */
const NO_TEXT = [
  Buffer.of(0xc0, 0x80),
  Buffer.of(0xed, 0xa0, 0x80),
  Buffer.of(0xf5, 0x80, 0x80, 0x80),
  Buffer.of(0xe2),
] as const;
/** Longer than 10 bytes, the largest in 64 bits, and about 2^31, 2^32 and 2^53. */
const NUMBERS = [
  Buffer.alloc(11, 0xff),
  Buffer.concat([Buffer.alloc(9, 0xff), Buffer.of(0x01)]),
  Buffer.of(0xff, 0xff, 0xff, 0xff, 0x07),
  Buffer.of(0x80, 0x80, 0x80, 0x80, 0x10),
  Buffer.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f),
] as const;

const MUTATIONS: readonly [Mutation, ...Mutation[]] = [
  function flipBits(bytes, random) {
    for (let count = random.between(1, 8); count > 0 && bytes.length > 0; count--) {
      const at = random.between(0, bytes.length - 1);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.between(0, 7));
    }
    return bytes;
  },
  function setBytes(bytes, random) {
    for (let count = random.between(1, 4); count > 0 && bytes.length > 0; count--) {
      bytes[random.between(0, bytes.length - 1)] = random.pick(EDGES);
    }
    return bytes;
  },
  (bytes, random) => bytes.subarray(0, random.between(0, bytes.length)),
  function removePart(bytes, random) {
    const from = random.between(0, bytes.length);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(random.between(from, bytes.length))]);
  },
  function repeatPart(bytes, random) {
    const from = random.between(0, bytes.length);
    const part = bytes.subarray(from, random.between(from, bytes.length));
    return insert(bytes, from, Buffer.concat(Array<Buffer>(random.between(1, 20)).fill(part)));
  },
  (bytes, random) => insert(bytes, random.between(0, bytes.length), noise(random, random.between(1, 16))),
  (bytes, random) => insert(bytes, random.between(0, bytes.length), random.pick(NO_TEXT)),
  (bytes, random) => insert(bytes, random.between(0, bytes.length), random.pick(NUMBERS)),
  // A field that comes once more, of any kind.
  (bytes, random) =>
    Buffer.concat([bytes, Buffer.of((random.between(1, 15) << 3) | random.between(0, 7)), noise(random, 8)]),
  function addLies(bytes, random) {
    const tag = Buffer.of((random.between(1, 15) << 3) | 2);
    return Buffer.concat([bytes, tag, random.pick(NUMBERS), noise(random, random.between(0, 8))]);
  },
  function nest(bytes, random) {
    const tag = (random.between(1, 15) << 3) | 2;
    let nested = bytes;
    for (let depth = random.pick([1, 10, 99, 101, 300]); depth > 0; depth--) nested = delimited(tag, nested);
    return nested;
  },
  // Groups that never end.
  (bytes, random) =>
    Buffer.concat([bytes, Buffer.alloc(random.pick([1, 99, 101, 10_000]), (random.between(1, 15) << 3) | 3)]),
  function addBornName(bytes, random) {
    const name = Buffer.from(random.pick(BORN));
    const field = (random.between(1, 15) << 3) | 2;
    const entry = Buffer.concat([delimited(0x0a, name), delimited(0x12, Buffer.from("x"))]);
    return Buffer.concat([
      bytes,
      random.pick([delimited(field, entry), delimited(field, name), delimited(field, delimited(0x0a, name))]),
    ]);
  },
  function manyEmpty(bytes, random) {
    const field = Buffer.of((random.between(1, 15) << 3) | 2, 0);
    return Buffer.concat([bytes, ...Array<Buffer>(random.pick([10, 1001, 30_000])).fill(field)]);
  },
];

/** Bytes much like these, but for one to three things that the random numbers choose. The bytes stay as they are. */
export function mutate(bytes: Uint8Array, random: Random): Buffer {
  let mutated = Buffer.from(bytes);
  for (let count = random.between(1, 3); count > 0; count--) {
    mutated = Buffer.from(random.pick(MUTATIONS)(mutated, random));
  }
  return mutated;
}

function insert(bytes: Buffer, at: number, what: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), what, bytes.subarray(at)]);
}

function noise(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.between(0, 255)));
}

function delimited(tag: number, bytes: Buffer): Buffer {
  const length: number[] = [];
  for (let rest = bytes.length; ; rest >>>= 7) {
    length.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    if (rest <= 0x7f) break;
  }
  return Buffer.concat([Buffer.of(tag, ...length), bytes]);
}
