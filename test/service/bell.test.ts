import { setImmediate } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { Bell } from "../../src/service/bell.ts";
import { stopTheClock } from "../support/stop-the-clock.ts";

const REASON = new Error("called off");

/** Whether a promise is settled, once everything else has had its turn. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const settle = (): void => {
    settled = true;
  };
  promise.then(settle, settle);
  await setImmediate();
  return settled;
}

describe("Bell", () => {
  it("wakes who waits when it rings, and not before", async () => {
    const bell = new Bell();
    const waiting = bell.wait(new AbortController().signal);
    expect(await isSettled(waiting)).toBe(false);
    bell.ring();
    expect(await waiting).toBe(true);
  });

  it("keeps a ring for the next wait, and only for that", async () => {
    const bell = new Bell();
    const { signal } = new AbortController();
    bell.ring();
    bell.ring();
    expect(await bell.wait(signal)).toBe(true);
    const waiting = bell.wait(signal);
    expect(await isSettled(waiting)).toBe(false);
    bell.ring();
    await waiting;
  });

  it("keeps a ring that comes between the waking of who waited and their next wait", async () => {
    const bell = new Bell();
    const { signal } = new AbortController();
    const waiting = bell.wait(signal);
    bell.ring();
    await waiting;
    bell.ring();
    expect(await bell.wait(signal)).toBe(true);
  });

  it("lets who waits go after the time that they give it", async () => {
    stopTheClock("setTimeout");
    const bell = new Bell();
    const waiting = bell.wait(new AbortController().signal, 100);
    vi.advanceTimersByTime(99);
    expect(await isSettled(waiting)).toBe(false);
    vi.advanceTimersByTime(1);
    expect(await waiting).toBe(false);
  });

  it("leaves neither a timer nor a listener behind, however a wait ends", async () => {
    const timers = stopTheClock("setTimeout");
    const bell = new Bell();
    const controller = new AbortController();
    const added = vi.spyOn(controller.signal, "addEventListener");
    const removed = vi.spyOn(controller.signal, "removeEventListener");
    const rung = bell.wait(controller.signal, 100);
    bell.ring();
    await rung;
    const expired = bell.wait(controller.signal, 100);
    vi.advanceTimersByTime(100);
    await expired;
    expect(removed.mock.calls.map(([, listener]) => listener)).toEqual(
      added.mock.calls.map(([, listener]) => listener),
    );
    expect(added).toHaveBeenCalledTimes(2);

    const aborted = bell.wait(controller.signal, 100);
    controller.abort(REASON);
    await expect(aborted).rejects.toBe(REASON);
    expect(timers()).toBe(0);
  });

  it("rejects with the reason when a wait is called off, before it and while it lasts", async () => {
    const bell = new Bell();
    await expect(bell.wait(AbortSignal.abort(REASON))).rejects.toBe(REASON);
    const controller = new AbortController();
    const waiting = bell.wait(controller.signal, 60_000);
    controller.abort(REASON);
    await expect(waiting).rejects.toBe(REASON);
  });

  it("keeps a ring from who has been called off for who waits next", async () => {
    const bell = new Bell();
    bell.ring();
    await expect(bell.wait(AbortSignal.abort(REASON))).rejects.toBe(REASON);
    const controller = new AbortController();
    const waiting = bell.wait(controller.signal);
    expect(await waiting).toBe(true);
  });
});
