import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { InProcessBus } from "../../src/bus/in-process-bus.ts";
import { busContract } from "./bus-suite.ts";
import { Follower } from "./follower.ts";

busContract("InProcessBus", async () => {
  const bus = new InProcessBus();
  return { here: bus, there: bus };
});

describe("InProcessBus", () => {
  it("tells news of the same moment once, and wakes nobody in vain", async () => {
    const bus = new InProcessBus();
    const [news, other] = [new Follower(bus, "news"), new Follower(bus, "other")];
    for (let count = 0; count < 1000; count++) bus.publish("news");
    for (let turn = 0; turn < 10; turn++) await setImmediate();
    expect([news.wakes, other.wakes]).toEqual([1, 0]);
  });

  it("wakes everybody when all topics are published", async () => {
    const bus = new InProcessBus();
    const followers = Array.from({ length: 10 }, (_, index) => new Follower(bus, `topic ${index}`));
    bus.publishAll();
    for (let turn = 0; turn < 10; turn++) await setImmediate();
    expect(followers.map(({ wakes }) => wakes)).toEqual(followers.map(() => 1));
  });
});
