import { describe, expect, it } from "vitest";
import { type FuzzFigures, fuzz } from "../support/fuzz/fuzz.ts";
import { chooseSeed } from "../support/random.ts";
import { expectGrowthBelow, measureDamage, sized } from "./damage.ts";
import { report } from "./report.ts";
import { sharedTarget } from "./target.ts";

const CASES = sized(2000, 100_000);
const CONNECTIONS = 4;

describe("requests that are damaged", () => {
  const target = sharedTarget();

  it("are refused with the right code, and break nothing", async () => {
    const seed = chooseSeed();
    let figures: FuzzFigures | undefined;
    const { port, token, userId } = target();
    const damage = await measureDamage(target(), async () => {
      figures = await fuzz({ port, token, userId, seed, cases: CASES, connections: CONNECTIONS });
    });
    const { codes = {}, faults = [] } = figures ?? {};
    report(
      "damaged requests",
      `${CASES} over all methods, SEED=${seed}`,
      JSON.stringify(codes).replaceAll('"', ""),
      damage,
    );
    expect(faults).toEqual([]);
    // What was nobody's fault but the server's.
    expect(
      target()
        .logs()
        .filter(({ msg }) => msg === "call failed"),
      `SEED=${seed}`,
    ).toEqual([]);
    expectGrowthBelow(256, damage, target());
  });
});
