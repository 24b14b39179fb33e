import { expect } from "vitest";
import { FULL } from "../support/full.ts";
import { type CanaryFigures, withCanary } from "./canary.ts";
import type { Target } from "./target.ts";

/** What an attack did. */
export interface Damage {
  readonly canary: CanaryFigures;
  /** Resident bytes when the canary had warmed the server up. */
  readonly bytesBefore: number;
  /** The most resident bytes during the attack. */
  readonly bytesPeak: number;
  readonly bytesAfter: number;
  readonly seconds: number;
}

const MIB = 2 ** 20;

/** Attacks under the eyes of a canary (see withCanary), and measures what it does to the server. */
export async function measureDamage(target: Target, attack: () => Promise<unknown>): Promise<Damage> {
  let bytesBefore = 0;
  let bytesPeak = 0;
  let seconds = 0;
  const canary = await withCanary(target, async () => {
    bytesBefore = await target.residentBytes();
    bytesPeak = await target.peakBytes(async () => {
      const started = performance.now();
      await attack();
      seconds = (performance.now() - started) / 1000;
    });
  });
  return { canary, bytesBefore, bytesPeak, bytesAfter: await target.residentBytes(), seconds };
}

/** Fails if resident memory grew by more than so many MiB at any moment of an attack. */
export function expectGrowthBelow(limitMiB: number, { bytesBefore, bytesPeak }: Damage): void {
  expect((bytesPeak - bytesBefore) / MIB, "growth of resident memory in MiB").toBeLessThan(limitMiB);
}

/** A number for the short form of an attack, and one for the full form. */
export function sized(short: number, full: number): number {
  return FULL ? full : short;
}
