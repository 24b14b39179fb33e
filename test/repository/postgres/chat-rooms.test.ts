import { setImmediate } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Database } from "../../../src/repository/postgres/database.ts";
import type { Store } from "../../../src/repository/postgres/store.ts";
import { cleanUp } from "../../../src/repository/postgres/upkeep.ts";
import { createDatabase, query, type TestDatabase } from "../../support/database.ts";
import { FULL } from "../../support/full.ts";
import { openDatabase, openFound } from "../../support/store.ts";
import { chatRoomsContract } from "../chat-rooms-suite.ts";
import { createOne, RETENTION, SCOPE, scopeOf } from "../suite/drafts.ts";
import { allOf, newRoom, type OpenRooms, range, saidIn, sequencesOf, textOf, texts } from "../suite/rooms.ts";

const ROUNDS = FULL ? 20 : 8;

let database: TestDatabase;
let stores: [Store, Store, Store];
/** What does nothing but clean up. */
let upkeep: Database;

beforeAll(async () => {
  database = await createDatabase();
  stores = [await openFound(database.url), await openFound(database.url), await openFound(database.url)];
  upkeep = await openDatabase(database.url);
});

afterAll(async () => {
  await Promise.all([...stores, upkeep].map((each) => each.close()));
  await database.drop();
});

const open: OpenRooms = async (retention = RETENTION) => {
  const [one, two, three] = stores;
  // Each test begins with nobody.
  await query(database.url, "DELETE FROM users");
  return {
    replicas: [one.rooms, two.rooms, three.rooms],
    users: one.users,
    age: async (ms) =>
      void (await query(database.url, `UPDATE chat_texts SET posted_at = posted_at - interval '${ms} ms'`)),
    forget: () => cleanUp(upkeep, { changes: RETENTION, texts: retention }, SCOPE),
  };
};

chatRoomsContract("PostgresChatRooms", open);

describe("PostgresChatRooms", () => {
  it("posts all texts of a call or none", async () => {
    const [{ rooms }] = stores;
    const room = newRoom();
    await rooms.post(room, texts(1), SCOPE);
    await expect(rooms.post(room, [...texts(2), textOf("no text\u0000"), ...texts(2)], SCOPE)).rejects.toThrow();
    expect(await rooms.latest(room, SCOPE)).toBe(1);
    expect(await allOf(rooms, room)).toHaveLength(1);
    expect(await rooms.post(room, texts(1), SCOPE)).toEqual([2]);
  });

  it("posts nothing for a call that has been called off", async () => {
    const [{ rooms }] = stores;
    const room = newRoom();
    const reason = new Error("no");
    await expect(rooms.post(room, texts(1), scopeOf({ signal: AbortSignal.abort(reason) }))).rejects.toBe(reason);
    expect(await rooms.latest(room, SCOPE)).toBe(0);
  });

  it("takes the words from the texts of a user who is deleted by hand", async () => {
    const [{ rooms, users }] = stores;
    const room = newRoom();
    const { id } = await createOne(users, "hand@example.com");
    await rooms.post(room, [textOf("words", { userId: id }), textOf("others' words")], SCOPE);
    await query(database.url, `BEGIN; DELETE FROM users WHERE id = '${id}'; ROLLBACK`);
    expect(await saidIn(rooms, room)).toEqual(["1 words", "2 others' words"]);
    await query(database.url, `DELETE FROM users WHERE id = '${id}'`);
    expect(await saidIn(rooms, room)).toEqual(["1 ", "2 others' words"]);
  });

  it("keeps the words nowhere in the tables once their author has been deleted", async () => {
    const [{ rooms, users }] = stores;
    const { id } = await createOne(users, "nowhere@example.com");
    await rooms.post(newRoom(), [textOf("unmistakable words", { userId: id })], SCOPE);
    await users.delete(id, () => {}, SCOPE);
    for (const table of ["chat_texts", "chat_rooms", "changes", "audit_records", "presences"])
      expect(await query(database.url, `SELECT FROM ${table} AS t WHERE t::text LIKE '%unmistakable%'`)).toEqual([]);
  });

  it("lets every replica forget texts at once, while others post and users are deleted", async () => {
    const [{ rooms, users }] = stores;
    const others = await Promise.all([openDatabase(database.url), openDatabase(database.url)]);
    onTestFinished(async () => void (await Promise.all(others.map((other) => other.close()))));
    const upkeeps = [upkeep, ...others];
    const names = range(1, 3).map(newRoom);
    const work = names.map(async (room, index) => {
      const { id } = await createOne(users, `${index}@example.com`);
      for (let round = 0; round < ROUNDS; round++) await rooms.post(room, texts(50, "a", { userId: id }), SCOPE);
      await users.delete(id, () => {}, SCOPE);
    });
    let working = true;
    const worked = Promise.all(work).finally(() => {
      working = false;
    });
    const forget = async (upkeep: Database) => {
      do {
        await cleanUp(upkeep, { changes: RETENTION, texts: { ...RETENTION, maxCount: 10 } }, SCOPE);
        await setImmediate();
      } while (working);
    };
    await Promise.all([worked, ...upkeeps.map(forget)]);
    await Promise.all(upkeeps.map(forget));
    for (const room of names)
      expect(sequencesOf(await allOf(rooms, room))).toEqual(range(50 * ROUNDS - 9, 50 * ROUNDS));
  });
});
