import { describe, expect, it, onTestFinished } from "vitest";
import { createEmptyDatabase } from "../../support/database.ts";
import { FULL } from "../../support/full.ts";
import { type PostgresServer, startPostgres } from "../../support/postgres.ts";
import { type HealthWatch, watchHealth } from "./health-watch.ts";
import { serve } from "./service.ts";

/** How long health may say what is no longer true, in milliseconds. */
const LONGEST_DELAY_MS = 3000;

/** How a database is lost, and found again. */
const LOSSES: readonly { readonly how: string; readonly lose: Step; readonly find: Step }[] = [
  { how: "is stopped", lose: (postgres) => postgres.stop("fast"), find: (postgres) => postgres.start() },
  { how: "answers nothing", lose: (postgres) => postgres.freeze(), find: (postgres) => postgres.thaw() },
  { how: "crashes", lose: (postgres) => postgres.stop("immediate"), find: (postgres) => postgres.start() },
];
/** In the short form, a crash is left out: it differs little from a stop. */
const SEQUENCE = FULL ? Array.from({ length: 10 }, () => LOSSES).flat() : LOSSES.slice(0, 2);

type Step = (postgres: PostgresServer) => Promise<void> | void;

describe("health", () => {
  it("is NOT_SERVING while PostgreSQL is lost, and SERVING when it is back; the process is alive all the time", async () => {
    const postgres = await startPostgres();
    onTestFinished(() => postgres.close());
    const { url } = await createEmptyDatabase(postgres.url());
    const server = await serve(url);
    const watches = ["", "user.v1.UserService"].map((service) => watchHealth(server, service));
    const liveness = watchHealth(server, "liveness");
    const delays = new Map(LOSSES.map(({ how }) => [how, 0]));
    await Promise.all([...watches, liveness].map((watch) => watch.until("SERVING")));

    for (const { how, lose, find } of SEQUENCE) {
      await lose(postgres);
      const notServing = await timeUntil(watches, "NOT_SERVING");
      await find(postgres);
      const serving = await timeUntil(watches, "SERVING");
      delays.set(how, Math.max(delays.get(how) ?? 0, notServing, serving));
    }
    expect(liveness.said).toEqual(["SERVING"]);
    if (!FULL) return;
    console.info("how long health was wrong at most, in milliseconds:", delays);
    expect(Math.max(...delays.values())).toBeLessThan(LONGEST_DELAY_MS);
  });
});

/** How long it takes until all watches have said this, in milliseconds. */
async function timeUntil(watches: readonly HealthWatch[], status: "SERVING" | "NOT_SERVING"): Promise<number> {
  const start = performance.now();
  await Promise.all(watches.map((watch) => watch.until(status)));
  return performance.now() - start;
}
