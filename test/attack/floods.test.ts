import { describe, expect, it } from "vitest";
import { FULL } from "../support/full.ts";
import {
  callFields,
  continuation,
  data,
  frameOf,
  headers,
  literalBlock,
  ping,
  priority,
  SETTING,
  settings,
  settingsAck,
  windowUpdate,
} from "../support/http2-frames.ts";
import { expectGrowthBelow, inFull, measureDamage, sized } from "./damage.ts";
import { type Aftermath, flood, summarize } from "./flood.ts";
import type { FrameConnection } from "./frame-connection.ts";
import { report } from "./report.ts";
import { type Target, warmTarget } from "./target.ts";

const CONNECTIONS = 20;
const SECONDS = sized(0.3, 10);
const PATIENCE_MS = 5000;
/**
 * A window counts the bytes of DATA, not what a frame takes in memory: 64 Ki frames of a byte fit into it before they are read, and take
 * some 13 MiB on each connection. Who is cut off comes again before that has been let go.
 */
const TINY_DATA_MIB = sized(128, 512);
/** A type that HTTP/2 does not know: receivers ignore such frames (RFC 9113, 4.1). */
const UNKNOWN_TYPE = 0x42;
const NOTHING = Buffer.alloc(0);
const CHAT = "/user.v1.UserService/Chat";

interface FrameFlood {
  readonly name: string;
  /** What goes before the flood. */
  readonly first?: (target: Target) => Buffer;
  readonly round: (index: number) => Buffer;
}

/** Headers that never end. */
const openHeaders = () => headers(1, literalBlock(callFields(CHAT)), 0);
/** A call whose request never ends. */
const openCall = ({ token }: Target) => headers(1, literalBlock(callFields(CHAT, token)));

/** What the server answers. Who does not read the answers wants them to pile up. */
const ANSWERED: readonly FrameFlood[] = [
  { name: "empty SETTINGS", round: () => settings() },
  { name: "PING", round: () => ping() },
  ...inFull({
    name: "SETTINGS that change",
    round: (index: number) => settings([SETTING.HEADER_TABLE_SIZE, index % 4096]),
  }),
];

const UNANSWERED: readonly FrameFlood[] = [
  {
    name: "CONTINUATION with a header each",
    first: openHeaders,
    round: (index) => continuation(1, literalBlock([[`x-${index}`, "y".repeat(500)]])),
  },
  { name: "empty CONTINUATION", first: openHeaders, round: () => continuation(1, NOTHING) },
  { name: "acknowledgements of no SETTINGS", round: () => settingsAck() },
  { name: "empty DATA", first: openCall, round: () => data(1, NOTHING) },
  { name: "PRIORITY", round: (index) => priority(2 * (index % 1_000_000) + 1, 0) },
  { name: "frames of an unknown type", round: () => frameOf(UNKNOWN_TYPE, 0, 0, Buffer.alloc(10)) },
];

/** Each five bytes are an empty message, which is answered; who does not read gets no more of them than the window holds. */
const MESSAGES: FrameFlood = {
  name: "DATA of one byte",
  first: openCall,
  round: () => data(1, Buffer.alloc(1)),
};

describe("floods of frames", () => {
  const target = warmTarget();

  it.each([...ANSWERED, ...UNANSWERED])("are cut off: $name", async (frames) => {
    await expectCut(frames, true);
  });

  it.each(ANSWERED)("are cut off: $name, answers not read", async (frames) => {
    await expectCut(frames, false);
  });

  it("cost no more than they may: WINDOW_UPDATE", async () => {
    await attack({ name: "WINDOW_UPDATE", round: () => windowUpdate(0, 1) }, true, 0);
  });

  it.runIf(FULL)("cost no more than they may: DATA of one byte", async () => {
    await attack(MESSAGES, true, 0, TINY_DATA_MIB);
  });

  it("cost no more than they may: DATA of one byte, answers not read", async () => {
    await attack(MESSAGES, false, 0, TINY_DATA_MIB);
  });

  async function expectCut(frames: FrameFlood, reads: boolean): Promise<void> {
    const connections = await attack(frames, reads, PATIENCE_MS);
    expect(connections.filter(({ isOpen }) => isOpen)).toHaveLength(0);
  }

  async function attack(
    { name, first, round }: FrameFlood,
    reads: boolean,
    patienceMs: number,
    growthMiB = 64,
  ): Promise<readonly FrameConnection[]> {
    let aftermath: Aftermath = { connections: [], rounds: 0 };
    const damage = await measureDamage(target(), async () => {
      aftermath = await flood(target().port, {
        connections: CONNECTIONS,
        seconds: SECONDS,
        ...(first !== undefined && { first: first(target()) }),
        round,
        reads,
        patienceMs,
      });
    });
    const { connections, rounds } = aftermath;
    report(
      `${name}${reads ? "" : ", answers not read"}`,
      `${connections.length} connections, ${rounds} frames`,
      summarize(connections),
      damage,
    );
    expectGrowthBelow(growthMiB, damage, target());
    return connections;
  }
});
