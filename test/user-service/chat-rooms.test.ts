import { timestampMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { JOIN, JOINED, LEAVE, LEFT, TEXT, wordsOf } from "./chat-member.ts";
import { PLACES } from "./chat-places.ts";

const ROOM = "lobby";

describe.each(PLACES)("Chat, in rooms $where", ({ open }) => {
  it("delivers each text once to every member, the author too, with the same sequence and time", async () => {
    const place = await open();
    const members = [place.enter("ada"), place.enter("bob", 1), place.enter("eve", 1)];
    for (const member of members) await member.join(ROOM);
    const began = Date.now();
    const said: string[] = [];
    for (const [index, member] of [...members, ...members].entries()) {
      member.post(ROOM, `text ${index}`, `id ${index}`);
      const own = await member.until(({ clientMessageId }) => clientMessageId === `id ${index}`);
      expect(own).toMatchObject({ room: ROOM, type: TEXT, sequence: BigInt(index + 1), message: `text ${index}` });
      said.push(wordsOf(own));
    }
    for (const member of members) expect(await member.finish()).toBeUndefined();
    const deliveries = members.map(({ messages }) => messages.filter(({ type }) => type === TEXT));
    for (const delivery of deliveries) {
      expect(delivery.map(wordsOf)).toEqual(said);
      expect(delivery).toEqual(deliveries[0]);
      for (const { timestamp } of delivery) {
        expect(timestamp).toBeDefined();
        expect((timestamp?.nanos ?? 1) % 1_000_000).toBe(0);
        expect(Math.abs((timestamp ? timestampMs(timestamp) : 0) - began)).toBeLessThan(60_000);
      }
    }
  });

  it("takes a message to a room that says nothing of its type for a text", async () => {
    const ada = (await open()).enter("ada");
    await ada.join(ROOM);
    ada.say({ room: ROOM, message: "hello" });
    expect(await ada.hears("1 ada: hello")).toMatchObject({ type: TEXT });
  });

  it("delivers history after a sequence, then says who is there, then what happens", async () => {
    const place = await open();
    const ada = place.enter("ada");
    await ada.join(ROOM);
    for (let index = 1; index <= 100; index++) ada.post(ROOM, `text ${index}`);
    await ada.hears("100 ada: text 100");
    const bob = place.enter("bob", 1);
    const joined = await bob.join(ROOM, 97);
    ada.post(ROOM, "news");
    await bob.hears("101 ada: news");
    expect(bob.heard.filter((words) => words !== "ada comes")).toEqual([
      ...["98 ada: text 98", "99 ada: text 99", "100 ada: text 100", "joined at 100"],
      "101 ada: news",
    ]);
    expect(joined).toMatchObject({ room: ROOM, type: JOINED, message: "", userId: "" });

    const eve = place.enter("eve", 1);
    await eve.join(ROOM);
    expect(eve.textsIn(ROOM)).toHaveLength(101);
    expect(eve.heard[101]).toBe("joined at 101");
    const late = place.enter("late");
    await late.join(ROOM, 1000);
    expect(late.heard[0], "who has more than there is").toBe("joined at 101");
  });

  it("keeps rooms apart, and the texts of a call in order in each", async () => {
    const place = await open();
    const [ada, bob, eve] = [place.enter("ada"), place.enter("bob", 1), place.enter("eve")];
    await ada.join("a");
    await ada.join("b");
    await bob.join("a");
    await eve.join("b");
    for (let index = 0; index < 200; index++) ada.post(index % 2 === 0 ? "a" : "b", `${index}`);
    for (const member of [ada, bob, eve]) await member.until(({ type }) => type === TEXT, member === ada ? 200 : 100);
    for (const member of [ada, bob, eve]) expect(await member.finish()).toBeUndefined();
    const even = Array.from({ length: 100 }, (_, index) => `${index + 1} ada: ${2 * index}`);
    const odd = Array.from({ length: 100 }, (_, index) => `${index + 1} ada: ${2 * index + 1}`);
    expect([bob.textsIn("a"), bob.textsIn("b")]).toEqual([even, []]);
    expect([eve.textsIn("a"), eve.textsIn("b")]).toEqual([[], odd]);
    expect([ada.textsIn("a"), ada.textsIn("b")]).toEqual([even, odd]);
  });

  it("posts a text once that its author posts again, after a reconnect and on another replica too", async () => {
    const place = await open();
    const ada = place.enter("ada");
    await ada.join(ROOM);
    ada.post(ROOM, "one", "id 1");
    ada.post(ROOM, "two", "id 2");
    ada.post(ROOM, "one again", "id 1");
    await ada.hears("2 ada: two");
    ada.cut();
    await ada.end;

    const again = place.enter("ada", 1);
    await again.join(ROOM, 1);
    for (const [id, text] of ["one", "two", "three"].entries()) again.post(ROOM, text, `id ${id + 1}`);
    expect(await again.finish()).toBeUndefined();
    expect(again.textsIn(ROOM)).toEqual(["2 ada: two", "3 ada: three"]);

    const bob = place.enter("bob");
    await bob.join(ROOM);
    bob.post(ROOM, "one", "id 1");
    await bob.hears("4 bob: one");
    expect(bob.textsIn(ROOM)).toHaveLength(4);
  });

  it("answers what is said to the service itself beside rooms, as if there were none", async () => {
    const place = await open();
    const ada = place.enter("ada");
    ada.say({ message: "before" });
    await ada.join(ROOM);
    for (let index = 0; index < 300; index++) {
      ada.say({ message: `echo ${index}`, type: LEAVE, clientMessageId: "x", timestamp: { seconds: BigInt(index) } });
      ada.post(ROOM, `text ${index}`);
    }
    expect(await ada.finish()).toBeUndefined();
    const echoes = ada.messages.filter(({ userId }) => userId === "server");
    expect(echoes.map(({ message }) => message)).toEqual([
      "Echo: before",
      ...Array.from({ length: 300 }, (_, index) => `Echo: echo ${index}`),
    ]);
    expect(echoes[300]).toMatchObject({ room: "", type: 0, sequence: 0n, timestamp: { seconds: 299n } });
    expect(ada.textsIn(ROOM)).toHaveLength(300);
  });

  it("says that a member has left when all is delivered that was posted, and lets them join again", async () => {
    const place = await open();
    const [ada, bob] = [place.enter("ada"), place.enter("bob", 1)];
    await bob.join(ROOM);
    ada.say({ room: ROOM, type: JOIN });
    for (let index = 1; index <= 50; index++) ada.post(ROOM, `text ${index}`);
    ada.say({ room: ROOM, type: LEAVE }, { room: ROOM, type: JOIN, afterSequence: 49n });
    const left = await ada.until(({ type }) => type === LEFT);
    expect(left).toMatchObject({ room: ROOM, sequence: 50n });
    await ada.until(({ type }) => type === JOINED, 2);
    const [leftAt, heard] = [ada.messages.indexOf(left), ada.heard.filter((words) => !/ (comes|goes)$/.test(words))];
    expect(ada.textsIn(ROOM).slice(0, 50)).toEqual(Array.from({ length: 50 }, (_, i) => `${i + 1} ada: text ${i + 1}`));
    expect(leftAt).toBeGreaterThan(50);
    expect(heard.slice(-3)).toEqual(["left at 50", "50 ada: text 50", "joined at 50"]);
    bob.post(ROOM, "welcome");
    await ada.hears("51 bob: welcome");
  });

  it("delivers nothing of a room that has been left", async () => {
    const place = await open();
    const [ada, bob] = [place.enter("ada"), place.enter("bob", 1)];
    for (const member of [ada, bob]) await member.join(ROOM);
    await ada.leave(ROOM);
    bob.post(ROOM, "secret");
    await bob.hears("1 bob: secret");
    expect(await ada.finish()).toBeUndefined();
    expect(ada.heard.at(-1)).toBe("left at 0");
  });
});
