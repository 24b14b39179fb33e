import { describe, expect, it } from "vitest";
import { query } from "../../support/database.ts";
import { testStores } from "../../support/store.ts";
import { LONG_MS, presence, presencesContract } from "../presences-suite.ts";
import { SCOPE } from "../suite/drafts.ts";
import { servingStore } from "./serving-store.ts";

/** How long a presence may outlive its time, until a test fails. */
const PATIENCE = { timeout: 10_000, interval: 20 };

const SHORT_MS = 200;

const emptyStore = testStores();

presencesContract("PostgresPresences", async () => (await emptyStore()).presences);

describe("PostgresPresences", () => {
  it("shows those of one replica to the others, which may remove them", async () => {
    const { url, presences: one } = await emptyStore();
    const { presences: other } = await servingStore(url);
    await one.show([presence("a")], LONG_MS, SCOPE);
    await other.show([presence("b")], LONG_MS, SCOPE);
    for (const each of [one, other]) expect(await each.list("room", SCOPE)).toEqual([presence("a"), presence("b")]);
    await other.remove(["a"], SCOPE);
    expect(await one.list("room", SCOPE)).toEqual([presence("b")]);
  });

  it("shows a presence for its lifetime, and that of its last showing", async () => {
    const { presences } = await emptyStore();
    await presences.show([presence("a"), presence("b")], SHORT_MS, SCOPE);
    await presences.show([presence("b")], LONG_MS, SCOPE);
    await expect.poll(() => presences.list("room", SCOPE), PATIENCE).toEqual([presence("b")]);
    await presences.show([presence("a")], LONG_MS, SCOPE);
    await presences.show([presence("b")], SHORT_MS, SCOPE);
    await expect.poll(() => presences.list("room", SCOPE), PATIENCE).toEqual([presence("a")]);
  });

  it("goes by the clock of the database", async () => {
    const { url, presences } = await emptyStore();
    await presences.show([presence("a")], LONG_MS, SCOPE);
    const ages = "SELECT extract(epoch FROM expires_at - clock_timestamp())::int AS seconds FROM presences";
    const [row] = await query<{ seconds: number }>(url, ages);
    expect(row?.seconds).toBeGreaterThan(0);
    expect(row?.seconds).toBeLessThanOrEqual(LONG_MS / 1000);
    await query(url, "UPDATE presences SET expires_at = clock_timestamp()");
    expect(await presences.list("room", SCOPE)).toEqual([]);
  });
});
