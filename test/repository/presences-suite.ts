import { describe, expect, it } from "vitest";
import type { Presence, Presences } from "../../src/repository/presences.ts";
import { ODD_TEXTS, SCOPE } from "./suite/drafts.ts";

/** Longer than any test. */
export const LONG_MS = 600_000;

/** Somebody's presence, of which the test says what matters. */
export function presence(session: string, fields: Partial<Presence> = {}): Presence {
  return { topic: "room", session, userId: "ada", detail: "", ...fields };
}

/** Holds an adapter to the contract of Presences. `create` makes an empty one, and releases it by itself after the test. */
export function presencesContract(name: string, create: () => Promise<Presences>): void {
  describe(name, () => {
    it("has none at first", async () => {
      expect(await (await create()).list("room", SCOPE)).toEqual([]);
    });

    it("lists the presences at a topic with all that was shown, in the order of the sessions", async () => {
      const presences = await create();
      const [a, b, c] = [presence("a"), presence("b", { userId: "bob", detail: "typing" }), presence("c")];
      const elsewhere = presence("ab", { topic: "another room" });
      await presences.show([c, elsewhere, a], LONG_MS, SCOPE);
      await presences.show([b], LONG_MS, SCOPE);
      expect(await presences.list("room", SCOPE)).toStrictEqual([a, b, c]);
      expect(await presences.list("another room", SCOPE)).toStrictEqual([elsewhere]);
      expect(await presences.list("Room", SCOPE)).toEqual([]);
    });

    it("lists one who is there several times as often", async () => {
      const presences = await create();
      const twice = [presence("a"), presence("b")];
      await presences.show(twice, LONG_MS, SCOPE);
      expect(await presences.list("room", SCOPE)).toEqual(twice);
    });

    it("shows a presence in place of what was shown for its session", async () => {
      const presences = await create();
      await presences.show([presence("a", { detail: "reading" }), presence("b")], LONG_MS, SCOPE);
      for (const detail of ["typing", "", "typing"]) {
        await presences.show([presence("a", { detail })], LONG_MS, SCOPE);
        expect(await presences.list("room", SCOPE)).toEqual([presence("a", { detail }), presence("b")]);
      }
    });

    it("removes those of the sessions, wherever they are, and no others", async () => {
      const presences = await create();
      const shown = ["a", "b", "c", "d"].map((session) => presence(session, { topic: session < "c" ? "x" : "y" }));
      await presences.show(shown, LONG_MS, SCOPE);
      await presences.remove(["a", "d", "of nobody"], SCOPE);
      expect(await presences.list("x", SCOPE)).toEqual([shown[1]]);
      expect(await presences.list("y", SCOPE)).toEqual([shown[2]]);
      await presences.remove(["b", "b", "c"], SCOPE);
      expect([...(await presences.list("x", SCOPE)), ...(await presences.list("y", SCOPE))]).toEqual([]);
      await presences.show(shown, LONG_MS, SCOPE);
      expect(await presences.list("x", SCOPE)).toEqual(shown.slice(0, 2));
    });

    it("does nothing for nobody", async () => {
      const presences = await create();
      await presences.show([presence("a")], LONG_MS, SCOPE);
      await presences.show([], LONG_MS, SCOPE);
      await presences.remove([], SCOPE);
      expect(await presences.list("room", SCOPE)).toEqual([presence("a")]);
    });

    it("keeps every text as it is", async () => {
      const presences = await create();
      for (const [index, text] of ODD_TEXTS.entries()) {
        const odd = presence(`${index}${text}`, { topic: text, userId: text, detail: text });
        await presences.show([odd], LONG_MS, SCOPE);
        expect(await presences.list(text, SCOPE)).toEqual([odd]);
        await presences.remove([odd.session], SCOPE);
        expect(await presences.list(text, SCOPE)).toEqual([]);
      }
    });

    it("keeps as many as there are", async () => {
      const presences = await create();
      const many = Array.from({ length: 2000 }, (_, index) => presence(String(index).padStart(5, "0")));
      await presences.show(many.toReversed(), LONG_MS, SCOPE);
      expect(await presences.list("room", SCOPE)).toEqual(many);
      await presences.remove(
        many.map(({ session }) => session),
        SCOPE,
      );
      expect(await presences.list("room", SCOPE)).toEqual([]);
    });

    it("shows and removes for many at once", async () => {
      const presences = await create();
      const sessions = Array.from({ length: 20 }, (_, index) => String(index).padStart(2, "0"));
      const show = (detail: string) =>
        Promise.all(
          [sessions, sessions.toReversed()].map((order) =>
            presences.show(
              order.map((session) => presence(session, { detail })),
              LONG_MS,
              SCOPE,
            ),
          ),
        );
      for (let round = 0; round < 10; round++) await show(String(round));
      expect(await presences.list("room", SCOPE)).toEqual(
        sessions.map((session) => presence(session, { detail: "9" })),
      );
      await Promise.all(sessions.map((session) => presences.remove([session], SCOPE)));
      expect(await presences.list("room", SCOPE)).toEqual([]);
    });
  });
}
