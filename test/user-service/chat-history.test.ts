import { describe, expect, it, onTestFinished, vi } from "vitest";
import { query } from "../support/database.ts";
import { testConfig, userClient } from "../support/server.ts";
import { GAP, TEXT } from "./chat-member.ts";
import { PLACES, type Place } from "./chat-places.ts";
import { createUser } from "./users.ts";

const ROOM = "lobby";
const KEPT = 5;

/** Has what is done each minute done now, and waits until the rest is forgotten. */
async function forget({ databaseUrl }: Place, rest: number): Promise<void> {
  vi.advanceTimersByTime(60_000);
  if (databaseUrl === undefined) return;
  while ((await query(databaseUrl, "SELECT FROM chat_texts")).length > rest);
}

describe.each(PLACES)("Chat, in rooms $where", ({ open }) => {
  it("tells of a gap instead of the texts that are no longer kept", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    onTestFinished(() => void vi.useRealTimers());
    const place = await open({ CHAT_HISTORY_MAX_COUNT: `${KEPT}` });
    const ada = place.enter("ada");
    await ada.join(ROOM);
    for (let index = 1; index <= 20; index++) ada.post(ROOM, `text ${index}`);
    await ada.hears("20 ada: text 20");
    await forget(place, KEPT);

    const kept = Array.from({ length: KEPT }, (_, index) => `${16 + index} ada: text ${16 + index}`);
    for (const [after, expected] of [
      [0, ["gap up to 15", ...kept, "joined at 20"]],
      [14, ["gap up to 15", ...kept, "joined at 20"]],
      [15, [...kept, "joined at 20"]],
      [18, [...kept.slice(3), "joined at 20"]],
      [20, ["joined at 20"]],
    ] as const) {
      const bob = place.enter("bob", 1);
      await bob.join(ROOM, after);
      expect(bob.heard.slice(0, expected.length), `after ${after}`).toEqual(expected);
      const gaps = bob.messages.filter(({ type }) => type === GAP);
      for (const gap of gaps) expect(gap).toMatchObject({ room: ROOM, userId: "", message: "" });
      expect(await bob.finish()).toBeUndefined();
    }
    ada.post(ROOM, "news");
    await ada.hears("21 ada: news");
    expect(ada.textsIn(ROOM), "of a member who has been there").toHaveLength(21);
  });

  it("delivers texts without their words once their author is deleted", async () => {
    const place = await open();
    const admin = userClient(place.servers[0]);
    const { id } = await createUser(admin);
    const [grace, bob] = [place.enter(id), place.enter("bob", 1)];
    for (const member of [grace, bob]) await member.join(ROOM);
    grace.post(ROOM, "personal", "id of hers");
    await bob.hears(`1 ${id}: personal`);
    bob.post(ROOM, "not hers");
    await bob.hears("2 bob: not hers");
    await grace.finish();
    await admin.deleteUser({ id });
    for (const replica of [0, 1]) {
      const eve = place.enter("eve", replica);
      await eve.join(ROOM);
      expect(eve.textsIn(ROOM)).toEqual([`1 ${id}: `, "2 bob: not hers"]);
      expect(await eve.until(({ type }) => type === TEXT)).toMatchObject({ clientMessageId: "id of hers" });
      await eve.finish();
    }
  });
});

describe("Chat, unless the operator sets something else", () => {
  it("keeps 10 000 texts of a room, for 7 days", () => {
    expect(testConfig().chatRetention).toEqual({ maxCount: 10_000, maxAgeMs: 7 * 24 * 3_600_000 });
  });
});
