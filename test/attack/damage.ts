import { expect } from "vitest";
import { FULL } from "../support/full.ts";
import { type CanaryFigures, withCanary } from "./canary.ts";
import type { Target } from "./target.ts";

/** What an attack did. */
export interface Damage {
  readonly canary: CanaryFigures;
  readonly bytesBefore: number;
  /** The most resident bytes until the canary's last call after the attack. */
  readonly bytesPeak: number;
  readonly bytesAfter: number;
  readonly seconds: number;
}

const MIB = 2 ** 20;

/** Attacks under the eyes of a canary (see withCanary), and measures what it does to the server. */
export async function measureDamage(target: Target, attack: () => Promise<unknown>): Promise<Damage> {
  let canary: CanaryFigures | undefined;
  let seconds = 0;
  const bytesBefore = await target.residentBytes();
  const bytesPeak = await target.peakBytes(async () => {
    canary = await withCanary(target, async () => {
      const started = performance.now();
      await attack();
      seconds = (performance.now() - started) / 1000;
    });
  });
  target.check();
  if (canary === undefined) throw new Error("there was no canary");
  return { canary, bytesBefore, bytesPeak, bytesAfter: await target.residentBytes(), seconds };
}

/** Fails if at any moment of an attack more memory was resident than before it, or in the warm server, and so many MiB. */
export function expectGrowthBelow(limitMiB: number, { bytesBefore, bytesPeak }: Damage, { warmBytes }: Target): void {
  expect((bytesPeak - Math.max(bytesBefore, warmBytes)) / MIB, "growth of resident memory in MiB").toBeLessThan(
    limitMiB,
  );
}

/** What only the full form attacks with: variants of what the short form has. */
export function inFull<T>(...variants: T[]): T[] {
  return FULL ? variants : [];
}

/** A number for the short form of an attack, and one for the full form. */
export function sized(short: number, full: number): number {
  return FULL ? full : short;
}
