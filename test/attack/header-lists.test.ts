import { describe, it } from "vitest";
import {
  callFields,
  continuation,
  FLAG,
  headers,
  indexedLiteral,
  literalBlock,
  NEWEST_ENTRY,
} from "../support/http2-frames.ts";
import { expectGrowthBelow, measureDamage, sized } from "./damage.ts";
import { type Aftermath, flood, summarize } from "./flood.ts";
import { report } from "./report.ts";
import { warmTarget } from "./target.ts";

const CONNECTIONS = 20;
const SECONDS = sized(0.3, 10);
const CHAT = "/user.v1.UserService/Chat";
const MAX_FRAME_BYTES = 16_384;
/** As large a value as fits into the table of the receiver, with its name and what the table counts besides. */
const LARGEST_ENTRY = "y".repeat(4000);

describe("lists of headers", () => {
  const target = warmTarget();

  it.each<[name: string, block: () => Buffer, first?: () => Buffer]>([
    ["one of 100 KB", () => call(["x", "y".repeat(100_000)])],
    ["one of 300 KB", () => call(["x", "y".repeat(300_000)])],
    ["60 of 5 KB", () => call(...repeated(60, 5000))],
    ["10 000 small ones", () => call(...repeated(10_000, 1))],
    ["120 that are one byte each, for 4 KB in the table", () => bomb(120), () => indexedLiteral("x", LARGEST_ENTRY)],
    [
      "16 000 that are one byte each, for 4 KB in the table",
      () => bomb(16_000),
      () => indexedLiteral("x", LARGEST_ENTRY),
    ],
  ])("cost no more than they may: %s", async (name, makeBlock, makeFirst) => {
    const block = makeBlock();
    let aftermath: Aftermath = { connections: [], rounds: 0 };
    const damage = await measureDamage(target(), async () => {
      aftermath = await flood(target().port, {
        connections: CONNECTIONS,
        seconds: SECONDS,
        ...(makeFirst !== undefined && { first: blockFrames(1, Buffer.concat([call(), makeFirst()])) }),
        round: (index) => blockFrames(2 * index + 3, block),
        patienceMs: 0,
      });
    });
    const { connections, rounds } = aftermath;
    report(`headers: ${name}`, `${connections.length} connections, ${rounds} calls`, summarize(connections), damage);
    expectGrowthBelow(64, damage, target());
  });

  function call(...more: [string, string][]): Buffer {
    return literalBlock([...callFields(CHAT, target().token), ...more]);
  }

  /** A call with `count` references to the newest entry of the table. */
  function bomb(count: number): Buffer {
    return Buffer.concat([call(), Buffer.alloc(count, NEWEST_ENTRY)]);
  }
});

function repeated(count: number, bytes: number): [string, string][] {
  return Array.from({ length: count }, (_, index) => [`x-${index}`, "y".repeat(bytes)]);
}

/** The frames of a header block, as large as frames may be. */
function blockFrames(streamId: number, block: Buffer): Buffer {
  const frames: Buffer[] = [];
  for (let start = 0; start < block.length; start += MAX_FRAME_BYTES) {
    const part = block.subarray(start, start + MAX_FRAME_BYTES);
    const flags = start + MAX_FRAME_BYTES >= block.length ? FLAG.END_HEADERS : 0;
    frames.push(start === 0 ? headers(streamId, part, flags) : continuation(streamId, part, flags));
  }
  return Buffer.concat(frames);
}
