import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { callFields, headers, literalBlock, PREFACE, settings, settingsAck } from "../support/http2-frames.ts";
import { expectGrowthBelow, measureDamage, sized } from "./damage.ts";
import { allClosed, summarize } from "./flood.ts";
import { type FrameConnection, openConnection } from "./frame-connection.ts";
import { expectRecovery, possessionsOf } from "./recovery.ts";
import { report } from "./report.ts";
import { sharedTarget, warmTarget } from "./target.ts";

/** Of each kind. */
const CROWD = sized(50, 500);
const CAP = sized(400, 4000);
const IDLERS = sized(500, 5000);
const DRIBBLE_EVERY_MS = sized(100, 1000);
const PATIENCE_MS = 20_000;

const GREETING = Buffer.concat([PREFACE, settings(), settingsAck()]);
const openHeaders = headers(1, literalBlock(callFields("/user.v1.UserService/GetUser")), 0);

/** What a process may open, of which each side of a connection takes one. */
const OPEN_FILES = Number(/^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1]);

describe("connections that never call", () => {
  const target = warmTarget({ FIRST_REQUEST_TIMEOUT: `${sized(1, 5)}s`, MAX_CONNECTIONS_PER_ADDRESS: "0" });

  const kinds: readonly (readonly [what: string, talk: (connection: FrameConnection) => Promise<void>])[] = [
    ["say nothing", async () => {}],
    ["say half of the preface", (connection) => connection.write(PREFACE.subarray(0, PREFACE.length / 2))],
    ["say the preface alone", (connection) => connection.write(PREFACE)],
    ["say the preface and SETTINGS", (connection) => connection.write(GREETING)],
    ["begin headers and leave it at that", (connection) => connection.write(Buffer.concat([GREETING, openHeaders]))],
    ["send headers a byte at a time", dribble],
  ];

  it("are cut off in time", async () => {
    let crowds: FrameConnection[][] = [];
    const before = await possessionsOf(target());
    const damage = await measureDamage(target(), async () => {
      crowds = await Promise.all(kinds.map(() => openCrowd(CROWD)));
      for (const [index, [, talk]] of kinds.entries()) for (const each of crowds[index] ?? []) void talk(each);
      await allClosed(crowds.flat(), PATIENCE_MS);
    });
    for (const [index, [what]] of kinds.entries()) {
      const crowd = crowds[index] ?? [];
      report(`connections that ${what}`, `${CROWD} connections`, summarize(crowd), damage);
      expect(
        crowd.filter(({ isOpen }) => isOpen),
        what,
      ).toHaveLength(0);
    }
    expectGrowthBelow(64, damage, target());
    await expectRecovery(target(), before);
  });

  async function dribble(connection: FrameConnection): Promise<void> {
    await connection.write(GREETING);
    for (const byte of openHeaders) {
      await connection.write(Buffer.of(byte));
      const pause = new Promise((resolve) => setTimeout(resolve, DRIBBLE_EVERY_MS));
      await Promise.race([pause, connection.closed]);
      if (!connection.isOpen) return;
    }
  }

  function openCrowd(count: number): Promise<FrameConnection[]> {
    return Promise.all(Array.from({ length: count }, () => openConnection(target().port)));
  }
});

const TOO_FEW_FILES = OPEN_FILES < IDLERS + 1000;
const CAPPED = `more connections than there may be (open files: ${OPEN_FILES})`;
describe.skipIf(TOO_FEW_FILES /* Each connection takes one, and some systems allow less. */)(CAPPED, () => {
  const target = sharedTarget({
    FIRST_REQUEST_TIMEOUT: "10m",
    MAX_CONNECTIONS: `${CAP}`,
    MAX_CONNECTIONS_PER_ADDRESS: "0",
  });

  it("are refused, and the others stay", async () => {
    const connections: FrameConnection[] = [];
    const before = await possessionsOf(target());
    const damage = await measureDamage(target(), async () => {
      while (connections.length < IDLERS)
        connections.push(...(await Promise.all(Array.from({ length: 100 }, () => openConnection(target().port)))));
      // The canary has one.
      await allClosed(connections.slice(CAP), PATIENCE_MS);
    });
    const open = connections.filter(({ isOpen }) => isOpen).length;
    report("idle connections above the cap", `${IDLERS} connections, cap ${CAP}`, summarize(connections), damage);
    expect(open).toBe(CAP - 1);
    expectGrowthBelow(64 + (CAP * 32) / 1024, damage, target());
    for (const { socket } of connections) socket.destroy();
    await expectRecovery(target(), before);
  });
});
