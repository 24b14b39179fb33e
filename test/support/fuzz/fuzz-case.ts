import { deflateSync, gzipSync } from "node:zlib";
import type { DescMethod } from "@bufbuild/protobuf";
import { Random } from "../random.ts";
import { frame } from "../raw-http2.ts";
import type { Sample } from "./corpus.ts";
import { mutate } from "./mutate.ts";

/** A call that is to be made. */
export interface FuzzCase {
  readonly method: DescMethod;
  readonly headers: Readonly<Record<string, string>>;
  /** What is written, one after the other, before the half-close. */
  readonly writes: readonly Buffer[];
}

/** Spreads the seeds of neighbouring cases. */
const STRIDE = 0x9e3779b1;

const ENCODINGS = ["gzip", "deflate", "identity", "br"] as const;

/** The case of this number: the same seed and number give the same case, whatever was made before. */
export function fuzzCase(samples: readonly Sample[], seed: number, index: number): FuzzCase {
  const random = new Random((seed + Math.imul(index, STRIDE)) | 0);
  const { method, messages } = random.pick(samples as [Sample, ...Sample[]]);
  const victim = random.between(0, messages.length - 1);
  const mutated = messages.map((message, position) =>
    position === victim || random.next() < 0.1 ? mutate(message, random) : Buffer.from(message),
  );
  // Most calls are good HTTP and gRPC, so that most mutations get as far as they can.
  const kind = random.next();
  if (kind < 0.8) return { method, headers: {}, writes: [Buffer.concat(mutated.map((each) => frame(each)))] };
  if (kind < 0.9) return compressed(method, mutated, random);
  return misframed(method, mutated, random);
}

function compressed(method: DescMethod, messages: readonly Buffer[], random: Random): FuzzCase {
  const compress = random.pick([gzipSync, deflateSync]);
  const writes = messages.map((each) => {
    const bytes = compress(each);
    return frame(random.next() < 0.3 ? mutate(bytes, random) : bytes, 1);
  });
  return { method, headers: { "grpc-encoding": random.pick(ENCODINGS) }, writes };
}

function misframed(method: DescMethod, messages: readonly Buffer[], random: Random): FuzzCase {
  const bytes = Buffer.concat(messages.map((each) => frame(each)));
  switch (random.between(0, 4)) {
    case 0:
      bytes[0] = random.between(0, 255);
      return { method, headers: {}, writes: [bytes] };
    case 1:
      bytes.writeUInt32BE(random.pick([0, 1, bytes.length, 65_537, 1_114_112, 0x7fffffff, 0xffffffff]), 1);
      return { method, headers: {}, writes: [bytes] };
    case 2:
      return { method, headers: {}, writes: [bytes.subarray(0, random.between(0, bytes.length))] };
    case 3:
      return { method, headers: {}, writes: pieces(bytes, random) };
    default:
      return {
        method,
        headers: { "grpc-timeout": random.pick(["abc", "", "5S5", "1n", "0S"]) },
        writes: [bytes],
      };
  }
}

function pieces(bytes: Buffer, random: Random): Buffer[] {
  const cut: Buffer[] = [];
  const length = random.between(1, Math.max(1, bytes.length / 4));
  for (let at = 0; at < bytes.length; at += length) cut.push(bytes.subarray(at, at + length));
  return cut;
}
