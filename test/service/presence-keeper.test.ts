import { setImmediate } from "node:timers/promises";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { InProcessBus } from "../../src/bus/in-process-bus.ts";
import { PostgresBus } from "../../src/bus/postgres-bus.ts";
import { MemoryPresences } from "../../src/repository/memory/presences.ts";
import type { Presence, Presences } from "../../src/repository/presences.ts";
import { Bell } from "../../src/service/bell.ts";
import { PresenceKeeper } from "../../src/service/presence-keeper.ts";
import type { PresenceView } from "../../src/service/presence-view.ts";
import { servingStore } from "../repository/postgres/serving-store.ts";
import { SCOPE } from "../repository/suite/drafts.ts";
import { freshDatabase, query } from "../support/database.ts";
import { stopTheClock } from "../support/stop-the-clock.ts";

const LIFETIME_MS = 15_000;
const RENEWAL_MS = 5000;

/** Presences in memory that note how they are written, and let a test say how long that takes. */
class WatchedPresences extends MemoryPresences {
  readonly shown: { sessions: string[]; lifetimeMs: number }[] = [];
  reads = 0;
  delay: () => Promise<void> = async () => {};

  override async show(presences: readonly Presence[], ...rest: unknown[]): Promise<void> {
    await this.delay();
    if (presences.length > 0) {
      this.shown.push({ sessions: presences.map(({ session }) => session), lifetimeMs: Number(rest[0]) });
    }
    await super.show(presences);
  }

  override list(topic: string): Promise<Presence[]> {
    this.reads++;
    return super.list(topic);
  }
}

function keeperOf(presences: Presences = new WatchedPresences()) {
  const bus = new InProcessBus();
  const keeper = new PresenceKeeper(presences, bus);
  onTestFinished(() => keeper.close());
  return { bus, keeper };
}

/** Lets all be done that waits for nothing. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await setImmediate();
}

/** Who is there, as `user: detail`. */
function shownIn(view: PresenceView): string[] {
  return view.present.map(({ userId, detail }) => `${userId}: ${detail}`).toSorted((a, b) => (a < b ? -1 : 1));
}

/** Waits until those who are there are these. */
async function until(view: PresenceView, bell: Bell, expected: readonly string[]): Promise<void> {
  const { signal } = new AbortController();
  while (shownIn(view).join() !== expected.join()) await bell.wait(signal);
}

describe("PresenceKeeper", () => {
  it("shows who enters, what they do, and that they leave, and rings at each", async () => {
    const { keeper } = keeperOf();
    const bell = new Bell();
    const view = keeper.watch("room", bell);
    await view.loaded;
    expect(shownIn(view)).toEqual([]);
    const ada = keeper.enter("room", "ada", "reading");
    await until(view, bell, ["ada: reading"]);
    const bob = keeper.enter("room", "bob", "");
    keeper.enter("elsewhere", "eve", "");
    await until(view, bell, ["ada: reading", "bob: "]);
    ada.update("typing");
    await until(view, bell, ["ada: typing", "bob: "]);
    ada.leave();
    ada.leave();
    ada.update("after the end");
    await until(view, bell, ["bob: "]);
    bob.leave();
    await until(view, bell, []);
    await settle();
    expect(shownIn(view)).toEqual([]);
  });

  it("rings only if something has changed, and reads once for all who watch", async () => {
    const presences = new WatchedPresences();
    const { bus, keeper } = keeperOf(presences);
    const bells = Array.from({ length: 10 }, () => new Bell());
    const rings = bells.map((bell) => vi.spyOn(bell, "ring"));
    const views = bells.map((bell) => keeper.watch("room", bell));
    await settle();
    expect(presences.reads).toBe(1);
    keeper.enter("room", "ada", "");
    await settle();
    expect(presences.reads).toBe(2);
    bus.publish("presence:room");
    await settle();
    expect(presences.reads).toBe(3);
    expect(rings.map((ring) => ring.mock.calls.length)).toEqual(bells.map(() => 1));
    for (const view of views) view.close();
    for (const view of views) view.close();
    bus.publish("presence:room");
    await settle();
    expect(presences.reads, "read though nobody watches").toBe(3);
  });

  it("writes what happens in one moment together", async () => {
    const presences = new WatchedPresences();
    const { keeper } = keeperOf(presences);
    const stays = Array.from({ length: 100 }, (_, index) => keeper.enter("room", `user${index}`, ""));
    await settle();
    expect(presences.shown).toMatchObject([{ sessions: stays.map(({ session }) => session), lifetimeMs: LIFETIME_MS }]);
    const late = keeper.enter("room", "late", "");
    stays[0]?.update("typing");
    await settle();
    expect(presences.shown.slice(1)).toMatchObject([{ sessions: [late.session, stays[0]?.session] }]);
  });

  it("shows those who stay again and again, well before their time is over, until the last has left", async () => {
    const timers = stopTheClock("setInterval");
    const presences = new WatchedPresences();
    const { keeper } = keeperOf(presences);
    const [ada, bob] = [keeper.enter("room", "ada", ""), keeper.enter("other room", "bob", "")];
    await settle();
    for (let renewal = 1; renewal <= 3; renewal++) {
      vi.advanceTimersByTime(RENEWAL_MS);
      await settle();
      expect(presences.shown).toHaveLength(1 + renewal);
    }
    ada.leave();
    vi.advanceTimersByTime(RENEWAL_MS);
    await settle();
    expect(presences.shown.at(-1)).toEqual({ sessions: [bob.session], lifetimeMs: LIFETIME_MS });
    bob.leave();
    expect(timers()).toBe(0);
    keeper.enter("room", "eve", "");
    expect(timers()).toBe(1);
  });

  it("does not show again by a renewal under way who leaves meanwhile", async () => {
    stopTheClock("setInterval");
    const presences = new WatchedPresences();
    const { keeper } = keeperOf(presences);
    const ada = keeper.enter("room", "ada", "");
    const bob = keeper.enter("room", "bob", "");
    await settle();
    const gate = Promise.withResolvers<void>();
    presences.delay = () => gate.promise;
    vi.advanceTimersByTime(RENEWAL_MS);
    await settle();
    ada.leave();
    await settle();
    gate.resolve();
    await settle();
    expect((await presences.list("room")).map(({ session }) => session)).toEqual([bob.session]);
    vi.advanceTimersByTime(RENEWAL_MS);
    await settle();
    expect((await presences.list("room")).map(({ session }) => session)).toEqual([bob.session]);
  });

  it("shows at the next renewal who could not be shown, and goes on", async () => {
    stopTheClock("setInterval");
    const presences = new WatchedPresences();
    const { keeper } = keeperOf(presences);
    presences.delay = () => Promise.reject(new Error("not available"));
    keeper.enter("room", "ada", "");
    await settle();
    expect(await presences.list("room")).toEqual([]);
    presences.delay = async () => {};
    vi.advanceTimersByTime(RENEWAL_MS);
    await settle();
    expect(await presences.list("room")).toMatchObject([{ userId: "ada" }]);
  });

  it("keeps what it knew where the presences cannot be read", async () => {
    const presences = new WatchedPresences();
    const { bus, keeper } = keeperOf(presences);
    const bell = new Bell();
    const view = keeper.watch("room", bell);
    keeper.enter("room", "ada", "");
    await until(view, bell, ["ada: "]);
    const failing = vi.spyOn(presences, "list").mockRejectedValueOnce(new Error("not available"));
    bus.publish("presence:room");
    await settle();
    expect(failing).toHaveBeenCalled();
    expect(shownIn(view)).toEqual(["ada: "]);
    keeper.enter("room", "bob", "");
    await until(view, bell, ["ada: ", "bob: "]);
  });
});

describe("PresenceKeepers of two replicas", () => {
  async function openReplica(url: string) {
    const store = await servingStore(url);
    const bus = new PostgresBus(url);
    onTestFinished(() => bus.close());
    return { store, keeper: new PresenceKeeper(store.presences, bus) };
  }

  it("show each other who is there, and remove all of their own at the end", async () => {
    const url = await freshDatabase();
    const [one, other] = [await openReplica(url), await openReplica(url)];
    const bells = [new Bell(), new Bell()] as const;
    const [here, there] = [one.keeper.watch("room", bells[0]), other.keeper.watch("room", bells[1])];
    const ada = one.keeper.enter("room", "ada", "reading");
    other.keeper.enter("room", "bob", "");
    one.keeper.enter("room", "eve", "");
    for (const [index, view] of [here, there].entries()) {
      await until(view, bells[index] ?? bells[0], ["ada: reading", "bob: ", "eve: "]);
    }
    ada.update("typing");
    await until(there, bells[1], ["ada: typing", "bob: ", "eve: "]);
    await one.keeper.close();
    expect(await query(url, "SELECT user_id FROM presences")).toEqual([{ user_id: "bob" }]);
    await until(there, bells[1], ["bob: "]);
    await other.keeper.close();
    expect(await query(url, "SELECT FROM presences")).toEqual([]);
  });

  it("show no more who was at one that has died, once their time is over", async () => {
    const url = await freshDatabase();
    const { store, keeper } = await openReplica(url);
    const dead = { topic: "room", session: "dead", userId: "ada", detail: "" };
    await store.presences.show([dead], 1000, SCOPE);
    const bell = new Bell();
    const view = keeper.watch("room", bell);
    await until(view, bell, ["ada: "]);
    await until(view, bell, []);
    view.close();
    await keeper.close();
  });
});
