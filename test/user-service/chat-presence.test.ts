import { describe, expect, it } from "vitest";
import { JOINED, MEMBER_JOINED, MEMBER_LEFT } from "./chat-member.ts";
import { PLACES } from "./chat-places.ts";

const ROOM = "lobby";

describe.each(PLACES)("Chat tells who is there, in rooms $where", ({ open }) => {
  it("once for each person, who may be there several times, and however they go", async () => {
    const place = await open();
    const ada = place.enter("ada");
    await ada.join(ROOM);
    await ada.sees(ROOM, "ada");
    const [bob, again, eve] = [place.enter("bob", 1), place.enter("bob"), place.enter("eve", 1)];
    await bob.join(ROOM);
    for (const member of [ada, bob]) await member.sees(ROOM, "ada", "bob");
    await again.join(ROOM);
    await eve.join(ROOM);
    for (const member of [ada, bob, again, eve]) await member.sees(ROOM, "ada", "bob", "eve");
    await bob.leave(ROOM);
    eve.cut();
    for (const member of [ada, again]) await member.sees(ROOM, "ada", "bob");
    await again.finish();
    await ada.sees(ROOM, "ada");
    await ada.finish();
    expect(ada.heard).toEqual(["joined at 0", "bob comes", "eve comes", "eve goes", "bob goes"]);
    const notices = ada.messages.filter(({ type }) => type === MEMBER_JOINED || type === MEMBER_LEFT);
    for (const notice of notices) expect(notice).toMatchObject({ room: ROOM, sequence: 0n, message: "" });
  });

  it("to whoever is there, the caller included, and to nobody in other rooms", async () => {
    const place = await open();
    const [ada, bob] = [place.enter("ada"), place.enter("bob", 1)];
    const joined = await ada.join(ROOM);
    expect(joined).toMatchObject({ type: JOINED, memberIds: ["ada"] });
    await bob.join("another room");
    expect(await bob.leave("another room")).toMatchObject({ memberIds: [] });
    await bob.join(ROOM);
    await bob.sees(ROOM, "ada", "bob");
    await ada.sees(ROOM, "ada", "bob");
    expect(ada.heard).toEqual(["joined at 0", "bob comes"]);
    expect(bob.messages.filter(({ type }) => type === JOINED)).toMatchObject([
      { room: "another room", memberIds: ["bob"] },
      { room: ROOM },
    ]);
  });

  it("when somebody leaves and comes again, or is in many rooms", async () => {
    const place = await open();
    const [ada, bob] = [place.enter("ada"), place.enter("bob", 1)];
    const rooms = Array.from({ length: 16 }, (_, index) => `room ${index}`);
    for (const room of rooms) {
      await ada.join(room);
      await bob.join(room);
      await ada.sees(room, "ada", "bob");
    }
    for (let round = 0; round < 3; round++) {
      await bob.leave("room 3");
      await ada.sees("room 3", "ada");
      await bob.join("room 3");
      await ada.sees("room 3", "ada", "bob");
    }
    bob.cut();
    for (const room of rooms) await ada.sees(room, "ada");
  });
});
