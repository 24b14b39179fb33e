import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { Turns, type TurnTaker } from "../../src/interceptors/turns.ts";

const LONG = 60_000;

/** Somebody who writes down in `log` what happens. */
function taker(name: string, log: string[]): TurnTaker {
  return { begin: () => log.push(`${name} begins`), expire: () => log.push(`${name} expires`) };
}

describe("Turns", () => {
  it("lets so many have their turn at a time, and the others in the order in which they came", () => {
    const log: string[] = [];
    const turns = new Turns(2, LONG);
    const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => taker(name, log)) as [
      TurnTaker,
      TurnTaker,
      TurnTaker,
      TurnTaker,
    ];
    for (const each of [a, b, c, d]) turns.enter(each);
    expect(log).toEqual(["a begins", "b begins"]);
    expect([a, b, c, d].map((each) => turns.has(each))).toEqual([true, true, false, false]);
    turns.leave(b);
    expect(log.splice(2)).toEqual(["c begins"]);
    turns.leave(a);
    expect(log.splice(2)).toEqual(["d begins"]);
    for (const each of [c, d]) turns.leave(each);
  });

  it("forgets who leaves before their turn, and who leaves twice", () => {
    const log: string[] = [];
    const turns = new Turns(1, LONG);
    const [a, b, c] = ["a", "b", "c"].map((name) => taker(name, log)) as [TurnTaker, TurnTaker, TurnTaker];
    for (const each of [a, b, c]) turns.enter(each);
    turns.leave(b);
    turns.leave(a);
    turns.leave(a);
    expect(log).toEqual(["a begins", "c begins"]);
    turns.leave(c);
  });

  it("lets somebody leave from within begin", () => {
    const log: string[] = [];
    const turns = new Turns(1, LONG);
    const brief: TurnTaker = { begin: () => turns.leave(brief), expire: () => {} };
    turns.enter(brief);
    turns.enter(taker("a", log));
    expect(log).toEqual(["a begins"]);
  });

  it("ends the turn of who takes too long while others wait", async () => {
    const { promise: expired, resolve } = Promise.withResolvers<void>();
    const log: string[] = [];
    const turns = new Turns(1, 1);
    turns.enter({ begin: () => log.push("slow begins"), expire: resolve });
    await setTimeout(5);
    const next = taker("next", log);
    turns.enter(next);
    await expired;
    expect(log).toEqual(["slow begins", "next begins"]);
    turns.leave(next);
  });

  it("waits for ever for who is slow while nobody waits", async () => {
    const log: string[] = [];
    const turns = new Turns(1, 1);
    turns.enter(taker("slow", log));
    await setTimeout(5);
    expect(log).toEqual(["slow begins"]);
  });
});
