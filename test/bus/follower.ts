import { setImmediate } from "node:timers/promises";
import { expect } from "vitest";
import type { Bus } from "../../src/bus/bus.ts";

/** Who follows a topic, and counts how often they are woken. */
export class Follower {
  readonly topic: string;
  readonly end: () => void;
  wakes = 0;
  #wake = Promise.withResolvers<void>();

  constructor(bus: Bus, topic: string) {
    this.topic = topic;
    this.end = bus.follow(topic, () => {
      this.wakes++;
      this.#wake.resolve();
      this.#wake = Promise.withResolvers<void>();
    });
  }

  /** Waits until they are woken after now. */
  next(): Promise<void> {
    return this.#wake.promise;
  }
}

/** Waits until each of them is woken after now. */
export async function untilWoken(followers: readonly Follower[]): Promise<void> {
  await Promise.all(followers.map((follower) => follower.next()));
}

/** How often news may come at the same time as a wake for everybody, before nobody believes in chance. */
const ATTEMPTS = 10;

/** Expects that those who follow a topic hear of it themselves, and not only when everybody is told to look. */
export async function hears(bus: Bus, topic: string, publish: () => unknown): Promise<void> {
  await allHear(bus, [topic], publish);
}

/** Expects that those who follow these topics hear of them themselves. */
export async function allHear(bus: Bus, topics: readonly string[], publish: () => unknown): Promise<void> {
  const followers = topics.map((topic) => new Follower(bus, topic));
  const bystander = new Follower(bus, "of which there are no news");
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const before = bystander.wakes;
      await Promise.all([publish(), untilWoken(followers)]);
      await setImmediate();
      if (bystander.wakes === before) return;
    }
    expect.fail(`nobody was woken for ${topics.join(", ").slice(0, 100)}, unless everybody was`);
  } finally {
    for (const { end } of [...followers, bystander]) end();
  }
}
