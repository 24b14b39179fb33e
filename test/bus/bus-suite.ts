import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { Bus } from "../../src/bus/bus.ts";
import { trickyTexts } from "../support/texts.ts";
import { Follower, hears, untilWoken } from "./follower.ts";

/** A bus where news are published, and one where they are heard: they may be the same. */
export interface BusPair {
  readonly here: Bus;
  readonly there: Bus;
}

/** Holds an adapter to the contract of Bus. `create` makes two ends of a bus, and releases them by itself after the test. */
export function busContract(name: string, create: () => Promise<BusPair>): void {
  describe(name, () => {
    it("wakes those who follow a topic, and nobody else", async () => {
      const { here, there } = await create();
      await hears(there, "news", () => here.publish("news"));
    });

    it("wakes both ends, whichever publishes", async () => {
      const { here, there } = await create();
      await hears(here, "news", () => here.publish("news"));
      await hears(there, "news", () => there.publish("news"));
      await hears(here, "news", () => there.publish("news"));
    });

    it("wakes everybody who follows a topic, and who follows it twice as often", async () => {
      const { here, there } = await create();
      let wakes = 0;
      const wake = () => void wakes++;
      const ends = [there.follow("news", wake), there.follow("news", wake)];
      const last = new Follower(there, "news");
      here.publish("news");
      await last.next();
      expect(wakes).toBe(2 * last.wakes);
      for (const count of [1, 0]) {
        ends.pop()?.();
        [wakes, last.wakes] = [0, 0];
        here.publish("news");
        await last.next();
        expect(wakes).toBe(count * last.wakes);
      }
    });

    it("wakes nobody before publish has returned", async () => {
      const { here } = await create();
      const follower = new Follower(here, "news");
      const before = follower.wakes;
      here.publish("news");
      expect(follower.wakes).toBe(before);
      await follower.next();
    });

    it("wakes nobody who has ended it, however often they end it", async () => {
      const { here, there } = await create();
      const gone = new Follower(there, "news");
      const stays = new Follower(there, "news");
      gone.end();
      gone.end();
      here.publish("news");
      await stays.next();
      await setImmediate();
      expect(gone.wakes).toBe(0);
    });

    it("wakes who follows a topic again that nobody followed any more", async () => {
      const { here, there } = await create();
      const gone = new Follower(there, "news");
      gone.end();
      const again = new Follower(there, "news");
      gone.end();
      here.publish("news");
      await again.next();
    });

    it("wakes for what is published while somebody is being woken", async () => {
      const { here, there } = await create();
      const { promise: enough, resolve } = Promise.withResolvers<void>();
      let wakes = 0;
      const end = there.follow("news", () => {
        wakes++;
        if (wakes < 4) there.publish("news");
        else resolve();
      });
      here.publish("news");
      await enough;
      end();
    });

    it("knows topics apart, whatever characters they have", async () => {
      const { here, there } = await create();
      const topics = [...trickyTexts(200, 1), "", "\u0000", "\ud800", "two\nlines", "it's", '"quoted"', "😀"];
      const followers = [...new Set(topics)].map((topic) => new Follower(there, topic));
      for (const { topic } of followers) here.publish(topic);
      await untilWoken(followers);
      await hears(there, "😀", () => here.publish("😀"));
      await hears(there, `'); SELECT pg_notify('x', '`, () => here.publish(`'); SELECT pg_notify('x', '`));
    });
  });
}
