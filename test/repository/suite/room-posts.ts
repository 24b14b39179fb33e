import { describe, expect, it } from "vitest";
import type { NewText } from "../../../src/repository/chat-rooms.ts";
import { FULL } from "../../support/full.ts";
import { chooseSeed, Random } from "../../support/random.ts";
import { trickyTexts } from "../../support/texts.ts";
import { ODD_TEXTS, SCOPE } from "./drafts.ts";
import { allOf, newRoom, type OpenRooms, range, saidIn, sequencesOf, textOf, texts } from "./rooms.ts";

/** Whole characters of a text. */
function headOf(text: string): string {
  return [...text].slice(0, 20).join("");
}

/** What rooms promise to those who post. */
export function roomPostsContract(name: string, open: OpenRooms): void {
  describe(`${name}.post`, () => {
    it("numbers the texts of a room from 1 on, in their order", async () => {
      const { replicas } = await open();
      const [rooms] = replicas;
      const room = newRoom();
      expect(await rooms.post(room, texts(3, "a"), SCOPE)).toEqual([1, 2, 3]);
      expect(await rooms.post(room, texts(1, "b"), SCOPE)).toEqual([4]);
      expect(await rooms.post(room, texts(2, "c"), SCOPE)).toEqual([5, 6]);
      expect(await saidIn(rooms, room)).toEqual(["1 a 0", "2 a 1", "3 a 2", "4 b 0", "5 c 0", "6 c 1"]);
    });

    it("numbers each room by itself, also those whose names differ only in case or space", async () => {
      const { replicas } = await open();
      const [rooms] = replicas;
      const room = newRoom();
      for (const other of [room, room.toUpperCase(), `${room} `, `${room}e\u0301`, `${room}\u00e9`, `${room}'"\\`])
        expect(await rooms.post(other, [textOf(other)], SCOPE)).toEqual([1]);
      expect(await saidIn(rooms, `${room} `)).toEqual([`1 ${room} `]);
    });

    it("posts nothing when there is nothing to post", async () => {
      const { replicas } = await open();
      const [rooms] = replicas;
      const room = newRoom();
      expect(await rooms.post(room, [], SCOPE)).toEqual([]);
      expect(await rooms.latest(room, SCOPE)).toBe(0);
      expect(await allOf(rooms, room)).toEqual([]);
    });

    it("keeps each text as it was written", async () => {
      const { replicas } = await open();
      const [rooms, other = rooms] = replicas;
      const seed = chooseSeed();
      const room = newRoom();
      const written = [...ODD_TEXTS, ...trickyTexts(300, seed), "😀".repeat(2048), "x".repeat(8192)].map(
        (text, index) =>
          textOf(text, {
            userId: `${index % 7} ${headOf(text)}`,
            clientMessageId: `${index}${headOf(text)}`,
          }),
      );
      await rooms.post(room, written, SCOPE);
      const kept = await allOf(other, room);
      expect(
        kept.map(({ userId, text, clientMessageId }) => ({ userId, clientMessageId, text })),
        `SEED=${seed}`,
      ).toEqual(written);
    });

    it("says when each was posted, in whole milliseconds", async () => {
      const { replicas } = await open();
      const room = newRoom();
      await replicas[0].post(room, texts(3), SCOPE);
      for (const { postedAt } of await allOf(replicas[0], room)) {
        expect(Number.isInteger(postedAt)).toBe(true);
        // By the clock of whoever keeps the texts.
        expect(Math.abs(postedAt - Date.now())).toBeLessThan(60_000);
      }
    });

    it("takes an author whose id has U+0000, and knows their texts again", async () => {
      const { replicas } = await open();
      const [rooms] = replicas;
      const room = newRoom();
      const text = textOf("hello", { userId: "a\u0000b", clientMessageId: "one" });
      expect(await rooms.post(room, [text, text], SCOPE)).toEqual([1, 1]);
      expect(await rooms.post(room, [text], SCOPE)).toEqual([1]);
      expect(await rooms.post(room, [{ ...text, userId: "ab" }], SCOPE)).toEqual([2]);
    });
  });

  describe(`${name}.post, of a text with an id`, () => {
    const one = textOf("one", { clientMessageId: "id" });

    it("posts it once, within a call and in later ones, on every replica", async () => {
      const { replicas } = await open();
      const room = newRoom();
      const [rooms] = replicas;
      expect(await rooms.post(room, [textOf("before"), one, textOf("between"), one], SCOPE)).toEqual([1, 2, 3, 2]);
      for (const replica of replicas)
        expect(await replica.post(room, [{ ...one, text: "something else" }], SCOPE)).toEqual([2]);
      expect(await saidIn(rooms, room)).toEqual(["1 before", "2 one", "3 between"]);
      expect(await rooms.latest(room, SCOPE)).toBe(3);
    });

    it("posts what comes with it, without a gap", async () => {
      const { replicas } = await open();
      const [rooms] = replicas;
      const room = newRoom();
      await rooms.post(room, [one], SCOPE);
      expect(await rooms.post(room, [textOf("a"), one, textOf("b"), one, textOf("c")], SCOPE)).toEqual([2, 1, 3, 1, 4]);
      expect(await saidIn(rooms, room)).toEqual(["1 one", "2 a", "3 b", "4 c"]);
    });

    it("posts that of another author, in another room, and with another id", async () => {
      const { replicas } = await open();
      const [rooms] = replicas;
      const [room, elsewhere] = [newRoom(), newRoom()];
      expect(await rooms.post(room, [one], SCOPE)).toEqual([1]);
      expect(await rooms.post(room, [{ ...one, userId: "bob" }], SCOPE)).toEqual([2]);
      expect(await rooms.post(room, [{ ...one, userId: "" }], SCOPE)).toEqual([3]);
      for (const clientMessageId of ["ID", "id ", "i", "other"])
        expect(await rooms.post(room, [{ ...one, clientMessageId }, one], SCOPE)).toEqual([expect.any(Number), 1]);
      expect(await rooms.latest(room, SCOPE)).toBe(7);
      expect(await rooms.post(elsewhere, [one], SCOPE)).toEqual([1]);
    });

    it("posts every text without one, though they are the same", async () => {
      const { replicas } = await open();
      const room = newRoom();
      expect(await replicas[0].post(room, [textOf("a"), textOf("a")], SCOPE)).toEqual([1, 2]);
      expect(await replicas[0].post(room, [textOf("a")], SCOPE)).toEqual([3]);
    });
  });

  describe(`${name}.post, while others post`, () => {
    it("gives every text a place of its own, without gaps, in the order of its call", async () => {
      const { replicas } = await open();
      const [rooms] = replicas;
      const seed = chooseSeed();
      const random = new Random(seed);
      const room = newRoom();
      const post = async (writer: number): Promise<readonly (readonly [number, string])[]> => {
        const replica = replicas[writer % replicas.length] ?? rooms;
        const placed: (readonly [number, string])[] = [];
        for (let call = 0; call < 10; call++) {
          const batch = texts(random.between(1, 5), `${writer}-${call}`, { userId: `${writer}` });
          const places = await replica.post(room, batch, SCOPE);
          expect(places, `SEED=${seed}`).toEqual(places.toSorted((one, other) => one - other));
          placed.push(...places.map((place, index) => [place, batch[index]?.text ?? ""] as const));
        }
        return placed;
      };
      const placed = (await Promise.all(range(0, 8).map(post))).flat();
      const kept = await allOf(rooms, room);
      expect(sequencesOf(kept), `SEED=${seed}`).toEqual(range(1, placed.length));
      expect(new Map(kept.map(({ sequence, text }) => [sequence, text])), `SEED=${seed}`).toEqual(new Map(placed));
    });

    it("posts a text once that is handed to all replicas at once", async () => {
      const { replicas } = await open();
      const [rooms] = replicas;
      const room = newRoom();
      for (let round = 0; round < 10; round++) {
        const batch: NewText[] = range(1, 5).map((index) => textOf("a", { clientMessageId: `${round}-${index}` }));
        const all = [...replicas, ...replicas];
        const [first, ...others] = await Promise.all(all.map((replica) => replica.post(room, batch, SCOPE)));
        for (const places of others) expect(places).toEqual(first);
      }
      expect(sequencesOf(await allOf(rooms, room))).toEqual(range(1, 50));
    });

    it("shows those who read what was posted first, and later what follows", async () => {
      const { replicas } = await open();
      const [rooms, other = rooms] = replicas;
      const room = newRoom();
      const calls = FULL ? 20 : 8;
      let posting = true;
      const write = async (writer: number) => {
        for (let call = 0; call < calls; call++)
          await (replicas[writer % replicas.length] ?? rooms).post(room, texts(3), SCOPE);
      };
      const written = Promise.all(range(0, 5).map(write)).finally(() => {
        posting = false;
      });
      const readFromTheBeginning = async () => {
        for (let seen = 0; posting; ) {
          const kept = sequencesOf(await allOf(other, room));
          expect(kept).toEqual(range(1, kept.length));
          expect(kept.length).toBeGreaterThanOrEqual(seen);
          seen = await other.latest(room, SCOPE);
          expect(seen).toBeGreaterThanOrEqual(kept.length);
        }
      };
      const readOn = async () => {
        let after = 0;
        while (posting) {
          const page = sequencesOf(await rooms.list(room, { after, limit: 7 }, SCOPE));
          expect(page).toEqual(range(after + 1, after + page.length));
          after += page.length;
        }
      };
      await Promise.all([written, readFromTheBeginning(), readOn()]);
      expect(await rooms.latest(room, SCOPE)).toBe(6 * 3 * calls);
    });
  });
}
