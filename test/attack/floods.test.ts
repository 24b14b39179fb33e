import { describe, expect, it } from "vitest";
import { expectGrowthBelow, measureDamage, sized } from "./damage.ts";
import { type Aftermath, flood, summarize } from "./flood.ts";
import type { FrameConnection } from "./frame-connection.ts";
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
} from "./frames.ts";
import { report } from "./report.ts";
import { sharedTarget, type Target } from "./target.ts";

const CONNECTIONS = 20;
const SECONDS = sized(0.3, 10);
const PATIENCE_MS = 5000;
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

const CUT_OFF: readonly FrameFlood[] = [
  {
    name: "CONTINUATION with a header each",
    first: openHeaders,
    round: (index) => continuation(1, literalBlock([[`x-${index}`, "y".repeat(500)]])),
  },
  { name: "empty CONTINUATION", first: openHeaders, round: () => continuation(1, NOTHING) },
  { name: "empty SETTINGS", round: () => settings() },
  { name: "SETTINGS that change", round: (index) => settings([SETTING.HEADER_TABLE_SIZE, index % 4096]) },
  { name: "acknowledgements of no SETTINGS", round: () => settingsAck() },
  { name: "PING", round: () => ping() },
  { name: "empty DATA", first: openCall, round: () => data(1, NOTHING) },
  { name: "PRIORITY", round: (index) => priority(2 * (index % 1_000_000) + 1, 0) },
  { name: "frames of an unknown type", round: () => frameOf(UNKNOWN_TYPE, 0, 0, Buffer.alloc(10)) },
];

/** These need not be cut off at once: they cost little. */
const BOUNDED: readonly FrameFlood[] = [
  { name: "WINDOW_UPDATE", round: () => windowUpdate(0, 1) },
  // Each five bytes are an empty message, which is answered; a client that does not read gets no more of them.
  { name: "DATA of one byte", first: openCall, round: () => data(1, Buffer.alloc(1)) },
];

describe("floods of frames", () => {
  const target = sharedTarget();

  describe.each([
    ["of those who read the answers", true],
    ["of those who do not", false],
  ])("%s", (who, reads) => {
    it.each(CUT_OFF)("are cut off: $name", async (frames) => {
      const connections = await attack(frames, who, reads, PATIENCE_MS);
      expect(connections.filter(({ isOpen }) => isOpen)).toHaveLength(0);
    });

    it.each(BOUNDED)("cost no more than they may: $name", async (frames) => {
      await attack(frames, who, reads, 0);
    });
  });

  async function attack(
    { name, first, round }: FrameFlood,
    who: string,
    reads: boolean,
    patienceMs: number,
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
      `flood ${who}: ${name}`,
      `${connections.length} connections, ${rounds} frames`,
      summarize(connections),
      damage,
    );
    expectGrowthBelow(64, damage, target());
    return connections;
  }
});
