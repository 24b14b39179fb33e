import { beforeEach, describe, expect, it, vi } from "vitest";
import { InProcessBus } from "../../src/bus/in-process-bus.ts";
import type { ChangeLog } from "../../src/repository/change-log.ts";
import { CHANGES_TOPIC } from "../../src/service/change-feed.ts";
import { Suspensions } from "../../src/service/suspensions.ts";
import { UserChanges } from "../../src/service/user-changes.ts";
import { stopTheClock } from "../support/stop-the-clock.ts";

/** A log of changes of users, of whom the test says who is suspended. */
function start() {
  const bus = new InProcessBus();
  const changed: string[] = [];
  const changes: ChangeLog = {
    latest: async () => changed.length,
    list: async ({ after }) =>
      changed.slice(after).map((userId, index) => ({
        revision: after + index + 1,
        userId,
        kind: "updated",
        changedAt: 0,
      })),
  };
  const suspended = new Set<string>();
  const asked: string[] = [];
  const state = { away: false };
  const userChanges = new UserChanges(changes, bus);
  const suspensions = new Suspensions(userChanges, async (id) => {
    asked.push(id);
    if (state.away) throw new Error("the store is gone");
    return suspended.has(id);
  });
  const change = (id: string): void => {
    changed.push(id);
    bus.publish(CHANGES_TOPIC);
  };
  return { suspensions, userChanges, suspended, asked, state, change };
}

describe("Suspensions", () => {
  it("tells of a user who is suspended later, and asks about nobody else", async () => {
    const { suspensions, suspended, asked, change } = start();
    const end = suspensions.watch("ada", told.resolve);
    await vi.waitFor(() => expect(asked).toEqual(["ada"]));
    change("grace");
    suspended.add("ada");
    change("ada");
    await told.promise;
    expect(asked).toEqual(["ada", "ada"]);
    end();
  });

  it("tells of a user who was suspended before, but not at once", async () => {
    const { suspensions, suspended } = start();
    suspended.add("ada");
    const onSuspended = vi.fn(told.resolve);
    const end = suspensions.watch("ada", onSuspended);
    expect(onSuspended).not.toHaveBeenCalled();
    await told.promise;
    end();
  });

  it("asks again where it cannot be told, until it is ended", async () => {
    const timers = stopTheClock("setTimeout");
    const { suspensions, suspended, asked, state } = start();
    state.away = true;
    suspended.add("ada");
    const end = suspensions.watch("ada", told.resolve);
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    await vi.advanceTimersByTimeAsync(5000);
    expect(asked).toHaveLength(2);
    state.away = false;
    await vi.advanceTimersByTimeAsync(5000);
    await told.promise;
    state.away = true;
    end();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toHaveLength(3);
    expect(timers()).toBe(0);
  });

  it("watches nobody when all is over", () => {
    const { suspensions, userChanges } = start();
    const ends = [suspensions.watch("ada", () => {}), suspensions.watch("ada", () => {})];
    expect(userChanges.size).toBe(1);
    for (const end of ends) end();
    expect(userChanges.size).toBe(0);
  });
});

let told = Promise.withResolvers<void>();
beforeEach(() => {
  told = Promise.withResolvers<void>();
});
