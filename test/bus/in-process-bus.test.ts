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

  it("wakes everybody in turn when some topics at a time are published", async () => {
    const bus = new InProcessBus();
    const followers = Array.from({ length: 10 }, (_, index) => new Follower(bus, `topic ${index}`));
    const wakesAfter = async (count: number) => {
      bus.publishNext(count);
      for (let turn = 0; turn < 10; turn++) await setImmediate();
      return followers.map(({ wakes }) => wakes).join("");
    };
    expect(await wakesAfter(4)).toBe("1111000000");
    expect(await wakesAfter(4)).toBe("1111111100");
    expect(await wakesAfter(4)).toBe("2211111111");
    expect(await wakesAfter(99)).toBe("3322222222");
    expect(await wakesAfter(0)).toBe("3322222222");
  });
});
