import { describe, expect, it } from "vitest";
import { FULL } from "../support/full.ts";
import { JOIN, LEAVE, TEXT } from "./chat-member.ts";
import { PLACES, presencesIn } from "./chat-places.ts";

const ROOM = "lobby";
/** More than are delivered at once. */
const MANY = FULL ? 1000 : 200;

describe.each(PLACES)("Chat, after the half-close, in rooms $where", ({ open }) => {
  it("delivers the texts that are under way, and ends with OK", async () => {
    const place = await open();
    const [ada, bob] = [place.enter("ada"), place.enter("bob", 1)];
    await bob.join(ROOM);
    ada.say({ room: ROOM, type: JOIN });
    for (let index = 1; index <= MANY; index++) ada.post(ROOM, `text ${index}`);
    expect(await ada.finish()).toBeUndefined();
    const texts = Array.from({ length: MANY }, (_, index) => `${index + 1} ada: text ${index + 1}`);
    expect(ada.textsIn(ROOM)).toEqual(texts);
    expect(await bob.finish()).toBeUndefined();
    expect(bob.textsIn(ROOM)).toEqual(texts);
  });

  it("delivers the history that has not been read", async () => {
    const place = await open();
    const ada = place.enter("ada");
    ada.say({ room: ROOM, type: JOIN });
    for (let index = 1; index <= MANY; index++) ada.post(ROOM, `text ${index}`);
    expect(await ada.finish()).toBeUndefined();
    const bob = place.enter("bob", 1);
    bob.say({ room: ROOM, type: JOIN });
    expect(await bob.finish()).toBeUndefined();
    expect(bob.textsIn(ROOM)).toHaveLength(MANY);
    expect(bob.heard.at(MANY)).toBe(`joined at ${MANY}`);
  });

  it("ends at once when there is nothing to deliver", async () => {
    const place = await open();
    const ada = place.enter("ada");
    ada.say({ room: ROOM, type: JOIN });
    expect(await ada.finish()).toBeUndefined();
    expect(ada.heard).toEqual(["joined at 0"]);
    const bob = place.enter("bob", 1);
    // Not where he might hear that Ada goes.
    bob.say({ room: "another", type: JOIN }, { room: "another", type: LEAVE });
    expect(await bob.finish()).toBeUndefined();
    expect(bob.heard).toEqual(["joined at 0", "left at 0"]);
  });

  it("delivers what is owed of all rooms, and answers all echoes", async () => {
    const place = await open();
    const ada = place.enter("ada");
    const rooms = Array.from({ length: 16 }, (_, index) => `room ${index}`);
    ada.say(...rooms.map((room) => ({ room, type: JOIN })));
    for (let index = 0; index < 10; index++) {
      for (const room of rooms) ada.post(room, `text ${index}`);
      ada.say({ message: `echo ${index}` });
    }
    expect(await ada.finish()).toBeUndefined();
    for (const room of rooms) expect(ada.textsIn(room)).toHaveLength(10);
    expect(ada.messages.filter(({ userId }) => userId === "server")).toHaveLength(10);
  });

  it("does not wait for what others post later", async () => {
    const place = await open();
    const [ada, bob] = [place.enter("ada"), place.enter("bob", 1)];
    for (const member of [ada, bob]) await member.join(ROOM);
    let posting = true;
    const posted = (async () => {
      for (let index = 1; posting; index++) {
        bob.post(ROOM, `text ${index}`);
        await bob.hears(`${index} bob: text ${index}`);
      }
    })();
    await ada.until(({ type }) => type === TEXT, 20);
    expect(await ada.finish()).toBeUndefined();
    posting = false;
    await posted;
    expect(ada.textsIn(ROOM)).toEqual(bob.textsIn(ROOM).slice(0, ada.textsIn(ROOM).length));
  });
});

describe.each(PLACES)("Chat, however a call ends, in rooms $where", ({ open }) => {
  it.each([
    ["the client half-closes", "finish", undefined],
    ["the client cancels", "cut", "Canceled"],
    ["a message breaks a rule", "break", "InvalidArgument"],
  ] as const)("leaves nobody shown when %s", async (_, way, code) => {
    const place = await open();
    const ada = place.enter("ada", 1);
    for (let index = 0; index < 16; index++) await ada.join(`room ${index}`);
    const bob = place.enter("bob");
    await bob.join("room 7");
    await bob.sees("room 7", "ada", "bob");
    if (way === "cut") ada.cut();
    else if (way === "finish") await ada.finish();
    else ada.say({ room: "room 7", clientMessageId: "x".repeat(129) });
    expect((await ada.end)?.code).toBe(code);
    await bob.sees("room 7", "bob");
    await bob.finish();
    for (const { server } of place.servers) await expect.poll(() => server.openCalls).toBe(0);
    const { databaseUrl } = place;
    if (databaseUrl !== undefined) await expect.poll(() => presencesIn(databaseUrl)).toBe(0);
  });

  it("writes nothing of what was said, where, and by whom into the log", async () => {
    const place = await open();
    const [ada, bob] = [place.enter("secret ada"), place.enter("secret bob", 1)];
    for (const member of [ada, bob]) await member.join("secret room");
    ada.post("secret room", "secret text", "secret id");
    await bob.hears("1 secret ada: secret text");
    ada.post("secret other room", "secret text");
    expect(await ada.end).toMatchObject({ code: "FailedPrecondition" });
    bob.cut();
    await bob.end;
    for (const { logs, server } of place.servers) {
      await server.stop();
      expect(logs.calls("/Chat").length).toBeGreaterThan(0);
      expect(logs.texts.filter((line) => line.includes("secret"))).toEqual([]);
    }
  });

  it("fails with UNAVAILABLE when the server stops, and whoever joins again elsewhere misses nothing", async () => {
    const place = await open();
    const [ada, bob] = [place.enter("ada"), place.enter("bob", 1)];
    for (const member of [ada, bob]) await member.join(ROOM);
    ada.post(ROOM, "one", "1");
    await ada.hears("1 ada: one");
    await place.servers[0].server.stop();
    expect(await ada.end).toMatchObject({ code: "Unavailable", reason: "SERVER_STOPPING" });
    expect(place.servers[0].server.openCalls).toBe(0);
    if (place.servers.length === 1) {
      expect(await bob.end).toMatchObject({ code: "Unavailable", reason: "SERVER_STOPPING" });
      return;
    }
    await bob.sees(ROOM, "bob");
    bob.post(ROOM, "two");
    const again = place.enter("ada", 1);
    await again.join(ROOM, 1);
    again.post(ROOM, "one", "1");
    again.post(ROOM, "three", "3");
    await again.hears("3 ada: three");
    expect(again.textsIn(ROOM)).toEqual(["2 bob: two", "3 ada: three"]);
  });
});
