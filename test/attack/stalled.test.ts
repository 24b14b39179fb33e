import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { CreateUserRequestSchema, ListUsersRequestSchema } from "../../src/gen/user/v1/user_service_pb.ts";
import { WatchUsersRequestSchema } from "../../src/gen/user/v1/watch_pb.ts";
import { callFields, data, FLAG, headers, literalBlock, SETTING, settings } from "../support/http2-frames.ts";
import { frame } from "../support/raw-http2.ts";
import { startCanary } from "./canary.ts";
import { expectGrowthBelow, measureDamage, sized } from "./damage.ts";
import { openSessions, summarize } from "./flood.ts";
import type { FrameConnection } from "./frame-connection.ts";
import { expectRecovery, noMoreSockets, possessionsOf } from "./recovery.ts";
import { report } from "./report.ts";
import { sharedTarget, startTarget } from "./target.ts";

const READERS = sized(100, 200);
const WRITERS = sized(100, 500);
const WRITE_EVERY_MS = sized(100, 5000);
const SECONDS = sized(0.5, 30);
const STOPPED = sized(2, 5);

describe("peers that stall", () => {
  const target = sharedTarget();

  it("leave nothing behind: readers that stop", async () => {
    const list = create(ListUsersRequestSchema, { streamAll: true });
    const watch = create(WatchUsersRequestSchema, { snapshot: true });
    const calls = Buffer.concat([
      settings([SETTING.INITIAL_WINDOW_SIZE, 0]),
      call(1, "ListUsers", toBinary(ListUsersRequestSchema, list)),
      call(3, "WatchUsers", toBinary(WatchUsersRequestSchema, watch)),
    ]);
    await stall(`${READERS} readers that stop`, READERS, async (connections) => {
      for (const connection of connections) await connection.write(calls);
      await pause(SECONDS * 1000);
    });
  });

  it("leave nothing behind: writers of a byte now and then", async () => {
    const { length } = frame(
      toBinary(CreateUserRequestSchema, create(CreateUserRequestSchema, { name: "x".repeat(99) })),
    );
    const head = Buffer.alloc(5);
    head.writeUInt32BE(length, 1);
    await stall(`${WRITERS} writers of a byte now and then`, WRITERS, async (connections) => {
      const block = literalBlock(callFields("/user.v1.UserService/CreateUsers", target().token));
      for (const connection of connections) await connection.write(Buffer.concat([headers(1, block), data(1, head)]));
      const until = performance.now() + SECONDS * 1000;
      while (performance.now() < until) {
        for (const connection of connections) await connection.write(data(1, Buffer.of(10)));
        await pause(WRITE_EVERY_MS);
      }
    });
  });

  it("are found by keepalive: processes that are stopped", async () => {
    const asking = await startTarget({ KEEPALIVE_TIME: "1s", KEEPALIVE_TIMEOUT: "1s" });
    const before = await possessionsOf(asking);
    const peers = Array.from({ length: STOPPED }, () => startCanary(asking));
    await Promise.all(peers.map((peer) => peer.lap(10)));
    expect(await asking.openSockets()).toBe(before.sockets + STOPPED);
    for (const peer of peers) peer.freeze();
    await noMoreSockets(asking, before.sockets);
    await expectRecovery(asking, before);
  });

  async function stall(
    what: string,
    count: number,
    attack: (connections: readonly FrameConnection[]) => Promise<void>,
  ): Promise<void> {
    let connections: FrameConnection[] = [];
    const before = await possessionsOf(target());
    const damage = await measureDamage(target(), async () => {
      connections = await openSessions(target().port, count);
      await attack(connections);
    });
    expect(
      connections.filter(({ isOpen }) => isOpen),
      "connections that stall",
    ).not.toHaveLength(0);
    report(what, `${count} connections`, summarize(connections), damage);
    expectGrowthBelow(64, damage, target());
    for (const { socket } of connections) socket.destroy();
    await expectRecovery(target(), before);
  }

  function call(id: number, method: string, request: Uint8Array): Buffer {
    const block = literalBlock(callFields(`/user.v1.UserService/${method}`, target().token));
    return Buffer.concat([headers(id, block), data(id, frame(request), FLAG.END_STREAM)]);
  }
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
