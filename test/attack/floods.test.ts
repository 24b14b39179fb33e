import { describe, expect, it } from "vitest";
import { measureDamage, sized } from "./damage.ts";
import { type FrameConnection, openSession } from "./frame-connection.ts";
import { callFields, headers, literalBlock, resetStream } from "./frames.ts";
import { report } from "./report.ts";
import { startTarget } from "./target.ts";

const CONNECTIONS = 20;
const SECONDS = sized(0.5, 10);

describe("rapid reset", () => {
  it("is cut off", async () => {
    const target = await startTarget();
    let sent = 0;
    let connections: FrameConnection[] = [];
    const block = literalBlock(callFields("/user.v1.UserService/GetUser", target.token));
    const damage = await measureDamage(target, async () => {
      connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => openSession(target.port)));
      const until = performance.now() + SECONDS * 1000;
      await Promise.all(
        connections.map(async (connection) => {
          for (let id = 1; connection.isOpen && performance.now() < until; ) {
            const frames: Buffer[] = [];
            for (let count = 0; count < 100; count++, id += 2, sent++) frames.push(headers(id, block), resetStream(id));
            await connection.write(Buffer.concat(frames));
          }
        }),
      );
    });
    report("rapid reset", `${sent} resets`, connections.map((connection) => connection.ending).join("; "), damage);
    expect(connections.every(({ isOpen }) => !isOpen)).toBe(true);
  });
});
