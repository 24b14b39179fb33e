import { getEventListeners } from "node:events";
import { create } from "@bufbuild/protobuf";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { InProcessBus } from "../../../src/bus/in-process-bus.ts";
import { type ChatMessage, ChatMessageSchema } from "../../../src/gen/user/v1/user_service_pb.ts";
import { MemoryChatRooms } from "../../../src/repository/memory/chat-rooms.ts";
import { MemoryPresences } from "../../../src/repository/memory/presences.ts";
import { Conversation } from "../../../src/service/chat/conversation.ts";
import { Rooms } from "../../../src/service/chat/rooms.ts";
import { PresenceKeeper } from "../../../src/service/presence-keeper.ts";
import { RETENTION } from "../../repository/suite/drafts.ts";
import { range, textOf } from "../../repository/suite/rooms.ts";
import { stopTheClock } from "../../support/stop-the-clock.ts";
import { type ChatInit, JOIN, LEAVE, wordsOf } from "../../user-service/chat-member.ts";

const ROOM = "lobby";
const HOUR_MS = 3_600_000;
/** More than are kept for all who read. */
const MANY = 1500;

/** Counts who follows something. */
class CountingBus extends InProcessBus {
  followers = 0;

  override follow(topic: string, wake: () => void): () => void {
    const unfollow = super.follow(topic, wake);
    this.followers++;
    return () => {
      this.followers--;
      unfollow();
    };
  }
}

function startRooms(bus: InProcessBus = new InProcessBus()): Rooms {
  const presences = new PresenceKeeper(new MemoryPresences(), bus);
  onTestFinished(() => presences.close());
  return new Rooms(new MemoryChatRooms({ ...RETENTION, maxAgeMs: HOUR_MS }), presences, bus);
}

describe("a conversation in a room of very many", () => {
  it("names a thousand of them to who joins, and the caller first", async () => {
    const rooms = startRooms();
    for (let index = 0; index < 1500; index++) rooms.enter(ROOM, `member ${index}`);
    const { next } = await joinRaw(rooms);
    const { memberIds } = await next();
    expect(new Set(memberIds).size).toBe(1000);
    expect(memberIds).toHaveLength(1000);
    expect(memberIds[0]).toBe("ada");
  });
});

/** The messages that somebody is told who joins. */
async function joinRaw(rooms: Rooms): Promise<{ next(): Promise<ChatMessage> }> {
  async function* silence(): AsyncGenerator<readonly ChatMessage[]> {}
  const first = create(ChatMessageSchema, { room: ROOM, type: JOIN });
  const scope = { signal: new AbortController().signal };
  // Those who are there are shown before anybody asks.
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  const told = new Conversation(rooms, () => "ada", scope, 0).run([first], silence());
  onTestFinished(() => void told.return(undefined));
  return { next: async () => (await told.next()).value?.[0] ?? expect.fail("nothing is told") };
}

/** A conversation of somebody who has just joined, and reads what there is when the test does. */
async function join(rooms: Rooms, calling = new AbortController()) {
  const outbox: ChatMessage[] = [];
  let wake = () => {};
  let finished = false;
  async function* say(): AsyncGenerator<readonly ChatMessage[]> {
    for (;;) {
      yield outbox.splice(0);
      if (outbox.length > 0) continue;
      if (finished) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  const scope = { signal: calling.signal };
  const first = create(ChatMessageSchema, { room: ROOM, type: JOIN });
  const told = new Conversation(rooms, () => "ada", scope, 0).run([first], say());
  const heard: string[] = [];
  const next = async () => {
    while (heard.length === 0) {
      const { value, done } = await told.next();
      heard.push(...(done ? ["the end"] : value.map(wordsOf)));
    }
    return heard.shift();
  };
  expect(await next()).toBe("joined at 0");
  return {
    next,
    /** Leaves the conversation as it is, as whoever serves it does when the call is over. */
    abandon: () => told.return(undefined),
    say(message: ChatInit): void {
      outbox.push(create(ChatMessageSchema, message));
      wake();
    },
    finish(): void {
      finished = true;
      wake();
    },
  };
}

/** Lets so many texts be posted, and then be forgotten, before somebody reads on. */
async function postAndForget(rooms: Rooms): Promise<void> {
  await Promise.all(range(1, MANY).map((index) => rooms.post(ROOM, textOf(`${index}`))));
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + HOUR_MS + 1000 });
  onTestFinished(() => void vi.useRealTimers());
}

describe("a conversation whose client has not read what is no longer kept", () => {
  it("tells of a gap when something new is posted, and goes on", async () => {
    const rooms = startRooms();
    const ada = await join(rooms);
    await postAndForget(rooms);
    const next = ada.next();
    await rooms.post(ROOM, textOf("news"));
    expect([await next, await ada.next()]).toEqual([`gap up to ${MANY}`, `${MANY + 1} ada: news`]);
  });

  it("tells of a gap before it ends after the half-close", { timeout: 1000 }, async () => {
    const rooms = startRooms();
    const ada = await join(rooms);
    await postAndForget(rooms);
    ada.finish();
    expect([await ada.next(), await ada.next()]).toEqual([`gap up to ${MANY}`, "the end"]);
  });

  it("tells of a gap before it tells that the client has left", { timeout: 1000 }, async () => {
    const rooms = startRooms();
    const ada = await join(rooms);
    await postAndForget(rooms);
    ada.say({ room: ROOM, type: LEAVE });
    expect([await ada.next(), await ada.next()]).toEqual([`gap up to ${MANY}`, `left at ${MANY}`]);
  });
});

describe("a conversation, when it is over", () => {
  it.each([
    ["half-closed", "finish"],
    ["called off while nothing happens", "abort"],
    ["called off while something is told", "abandon"],
    ["failing", "break"],
  ] as const)("has no followers, listeners or timers left: %s", async (_, way) => {
    const timers = stopTheClock("setTimeout", "setInterval");
    const bus = new CountingBus();
    const rooms = startRooms(bus);
    const calling = new AbortController();
    const ada = await join(rooms, calling);
    expect(bus.followers).toBeGreaterThan(0);
    expect(timers()).toBeGreaterThan(0);
    if (way === "finish") {
      ada.finish();
      expect(await ada.next()).toBe("the end");
    } else if (way === "abandon") {
      await rooms.post(ROOM, textOf("hello"));
      await ada.next();
      await ada.abandon();
    } else {
      const next = ada.next();
      if (way === "abort") calling.abort(new Error("over"));
      else ada.say({ room: "elsewhere", message: "hello" });
      await expect(next).rejects.toThrow();
    }
    expect(bus.followers).toBe(0);
    expect(getEventListeners(calling.signal, "abort")).toEqual([]);
    expect(timers()).toBe(0);
  });
});
