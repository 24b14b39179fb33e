import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import type { Holdings, Target } from "./target.ts";

/** What a server has: its sockets, and what it holds once the garbage is collected. */
export interface Possessions extends Holdings {
  readonly sockets: number;
}

/** What a server may have more than before: what it keeps of callers it knows now, and what a moment needs. */
const SLACK_BYTES = 4 * 2 ** 20;
const SLACK_TIMERS = 5;
const SLACK_STREAMS = 5;
const PATIENCE_MS = 15_000;
const LOOK_EVERY_MS = 100;

/** What a server has now. To find out halts it for a moment. */
export async function possessionsOf(target: Target): Promise<Possessions> {
  return { ...(await target.holdings("all")), sockets: await target.openSockets() };
}

/** Waits until a server has so many sockets or fewer. Fails if that takes longer than fifteen seconds. */
export async function noMoreSockets(target: Target, sockets: number): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  while ((await target.openSockets()) > sockets && performance.now() < until) await delay(LOOK_EVERY_MS);
  expect(await target.openSockets()).toBeLessThanOrEqual(sockets);
}

/** Waits until a server has no more than it had before. Fails if that takes longer than fifteen seconds. */
export async function expectRecovery(target: Target, before: Possessions): Promise<Possessions> {
  // To look at everything halts the server, so it has to be worth it.
  await noMoreSockets(target, before.sockets);
  const until = performance.now() + PATIENCE_MS;
  let now = await possessionsOf(target);
  while (!isBack(now, before) && performance.now() < until) {
    await delay(LOOK_EVERY_MS);
    now = await possessionsOf(target);
  }
  if (!isBack(now, before)) expect(now).toEqual(before);
  return now;
}

function isBack(now: Possessions, before: Possessions): boolean {
  return (
    now.sockets <= before.sockets &&
    now.timers <= before.timers + SLACK_TIMERS &&
    now.streams <= before.streams + SLACK_STREAMS &&
    now.bytes <= before.bytes + SLACK_BYTES
  );
}
