import { describe, expect, it } from "vitest";
import type { ChatRooms } from "../../../src/repository/chat-rooms.ts";
import { createOne, RETENTION, SCOPE } from "./drafts.ts";
import { allOf, newRoom, type OpenRooms, range, saidIn, sequencesOf, textOf, texts } from "./rooms.ts";

const HOUR_MS = 3_600_000;

async function sequencesAfter(rooms: ChatRooms, room: string, after: number, limit: number): Promise<number[]> {
  return sequencesOf(await rooms.list(room, { after, limit }, SCOPE));
}

/** What rooms promise to those who read. */
export function roomReadsContract(name: string, open: OpenRooms): void {
  describe(`${name}.list and latest`, () => {
    it("find nothing in a room in which nothing has been posted", async () => {
      const { replicas } = await open();
      expect(await replicas[0].latest(newRoom(), SCOPE)).toBe(0);
      expect(await allOf(replicas[0], newRoom())).toEqual([]);
    });

    it("find what was posted through any replica as soon as that has returned", async () => {
      const { replicas } = await open();
      const room = newRoom();
      for (let round = 1; round <= 10; round++) {
        const [sequence] = await (replicas[round % replicas.length] ?? replicas[0]).post(room, [textOf("a")], SCOPE);
        expect(sequence).toBe(round);
        for (const replica of replicas) {
          expect(await replica.latest(room, SCOPE)).toBe(round);
          expect(await sequencesAfter(replica, room, round - 1, 10)).toEqual([round]);
        }
      }
    });

    it("read each text once, in pages of any size", async () => {
      const { replicas } = await open();
      const [rooms] = replicas;
      const room = newRoom();
      await rooms.post(room, texts(7), SCOPE);
      for (let limit = 1; limit <= 8; limit++)
        for (let after = 0; after <= 8; after++)
          expect(await sequencesAfter(rooms, room, after, limit)).toEqual(range(after + 1, Math.min(after + limit, 7)));
      expect(await sequencesAfter(rooms, room, 0, 0)).toEqual([]);
      expect(await sequencesAfter(rooms, room, Number.MAX_SAFE_INTEGER, 10)).toEqual([]);
    });

    it("leave what they have told as it is, whatever happens later", async () => {
      const { replicas, users } = await open();
      const [rooms] = replicas;
      const room = newRoom();
      const { id } = await createOne(users, "ada@example.com");
      await rooms.post(room, texts(3, "a", { userId: id }), SCOPE);
      const before = await allOf(rooms, room);
      const copy = structuredClone(before);
      await rooms.post(room, texts(3), SCOPE);
      await users.delete(id, () => {}, SCOPE);
      expect(before).toEqual(copy);
    });
  });

  describe(`${name}, when texts are too many or too old`, () => {
    it("keeps the latest of each room", async () => {
      const { replicas, forget } = await open({ ...RETENTION, maxCount: 3 });
      const [rooms] = replicas;
      const [room, other] = [newRoom(), newRoom()];
      await rooms.post(room, texts(10), SCOPE);
      await rooms.post(other, texts(3), SCOPE);
      await forget();
      expect(await saidIn(rooms, room)).toEqual(["8 text 7", "9 text 8", "10 text 9"]);
      expect(sequencesOf(await allOf(rooms, other))).toEqual([1, 2, 3]);
      expect(await rooms.latest(room, SCOPE)).toBe(10);
      expect(await rooms.post(room, texts(1), SCOPE)).toEqual([11]);
      await forget();
      expect(sequencesOf(await allOf(rooms, room))).toEqual([9, 10, 11]);
      expect(await sequencesAfter(rooms, room, 2, 2), "a page from before").toEqual([9, 10]);
    });

    it("keeps the young ones, and numbers go on when none is left", async () => {
      const { replicas, forget, age } = await open({ ...RETENTION, maxAgeMs: HOUR_MS });
      const [rooms] = replicas;
      const room = newRoom();
      await rooms.post(room, texts(2), SCOPE);
      await age(HOUR_MS / 2);
      await rooms.post(room, texts(2), SCOPE);
      await forget();
      expect(sequencesOf(await allOf(rooms, room))).toEqual([1, 2, 3, 4]);
      await age(HOUR_MS / 2 + 1000);
      await forget();
      expect(sequencesOf(await allOf(rooms, room))).toEqual([3, 4]);
      await age(HOUR_MS / 2 + 1000);
      await forget();
      expect(await allOf(rooms, room)).toEqual([]);
      expect(await rooms.latest(room, SCOPE)).toBe(4);
      expect(await rooms.post(room, texts(1), SCOPE)).toEqual([5]);
    });

    it("knows an id as long as its text is kept, and not longer", async () => {
      const { replicas, forget } = await open({ ...RETENTION, maxCount: 2 });
      const [rooms] = replicas;
      const room = newRoom();
      const one = textOf("one", { clientMessageId: "id" });
      await rooms.post(room, [one, ...texts(1)], SCOPE);
      await forget();
      expect(await rooms.post(room, [one], SCOPE)).toEqual([1]);
      await rooms.post(room, texts(1), SCOPE);
      await forget();
      expect(await rooms.post(room, [one], SCOPE)).toEqual([4]);
      expect(await rooms.post(room, [one], SCOPE)).toEqual([4]);
    });
  });

  describe(`${name}, when a user is deleted`, () => {
    it("takes the words from their texts in all rooms, and nothing else from anybody", async () => {
      const { replicas, users } = await open();
      const [rooms, other = rooms] = replicas;
      const [room, elsewhere] = [newRoom(), newRoom()];
      const ada = await createOne(users, "ada@example.com");
      const bob = await createOne(users, "bob@example.com");
      const said = (userId: string, id: string) => textOf(`words of ${id}`, { userId, clientMessageId: id });
      const posted = [said(ada.id, "1"), said(bob.id, "2"), said(ada.id, "3"), said("nobody", "4")];
      await rooms.post(room, posted, SCOPE);
      await other.post(elsewhere, posted, SCOPE);
      const before = [...(await allOf(rooms, room)), ...(await allOf(rooms, elsewhere))];

      await users.delete(ada.id, () => {}, SCOPE);
      const after = before.map((text) => (text.userId === ada.id ? { ...text, text: "" } : text));
      for (const replica of replicas)
        expect([...(await allOf(replica, room)), ...(await allOf(replica, elsewhere))]).toEqual(after);
      expect(after.filter(({ text }) => text === "")).toHaveLength(4);
      expect(await rooms.post(room, [said(ada.id, "3")], SCOPE), "the id of a text without words").toEqual([3]);
      expect(await rooms.latest(room, SCOPE)).toBe(4);
      await users.delete(bob.id, () => {}, SCOPE);
    });

    it("keeps no words of theirs from anybody who reads, though they are posted afterwards", async () => {
      const { replicas, users, forget } = await open();
      const [rooms] = replicas;
      const room = newRoom();
      const { id } = await createOne(users, "ada@example.com");
      await users.delete(id, () => {}, SCOPE);
      await rooms.post(room, [textOf("words", { userId: id }), textOf("others", { userId: "bob" })], SCOPE);
      for (const replica of replicas) expect(await saidIn(replica, room)).toEqual(["1 ", "2 others"]);
      await forget();
      expect(await saidIn(rooms, room)).toEqual(["1 ", "2 others"]);
    });

    it("leaves the words if the deletion fails", async () => {
      const { replicas, users } = await open();
      const [rooms] = replicas;
      const room = newRoom();
      const { id } = await createOne(users, "ada@example.com");
      await rooms.post(room, [textOf("words", { userId: id })], SCOPE);
      const refuse = () => {
        throw new Error("no");
      };
      await expect(users.delete(id, refuse, SCOPE)).rejects.toThrow("no");
      expect(await saidIn(rooms, room)).toEqual(["1 words"]);
      await users.delete(id, () => {}, SCOPE);
    });
  });
}
