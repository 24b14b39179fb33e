import { describe, expect, it } from "vitest";
import { Readiness } from "../src/readiness.ts";

describe("Readiness.within", () => {
  it("waits for nothing where all is ready", async () => {
    await new Readiness(true).within(60_000);
  });

  it("waits until it is ready", async () => {
    const readiness = new Readiness(false);
    let waited = false;
    const waiting = readiness.within(60_000).then(() => {
      waited = true;
    });
    await new Promise(setImmediate);
    expect(waited).toBe(false);
    readiness.set(true);
    await waiting;
  });

  it("waits no longer than it is told", async () => {
    await new Readiness(false).within(1);
  });

  it("tells its follower all the same", async () => {
    const readiness = new Readiness(false);
    const told: boolean[] = [];
    const waiting = readiness.within(60_000);
    readiness.follow((ready) => told.push(ready));
    readiness.set(true);
    await waiting;
    readiness.set(false);
    expect(told).toEqual([false, true, false]);
  });
});
