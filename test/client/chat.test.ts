import type { ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { type JoinOptions, joinRoom, type Room } from "../../src/client/chat.ts";
import { type ChatMessage, ChatMessageType } from "../../src/gen/user/v1/user_service_pb.ts";
import { createFake, failing, unavailable } from "../../src/testing/testing.ts";
import { publishedClient } from "../support/client.ts";
import { freshDatabase } from "../support/database.ts";
import { failureOf } from "../support/errors.ts";
import { lastingPort } from "../support/ports.ts";
import { servingTestServer, startTestServer, type TestServer, tokenFor } from "../support/server.ts";
import { wordsOf } from "../user-service/chat-member.ts";

const { TEXT, JOIN, JOINED } = ChatMessageType;

/** Joins the lobby as somebody. */
function enter(server: Pick<TestServer, "address">, id: string, options: JoinOptions = {}): Room {
  return joinRoom(publishedClient(server, { token: () => tokenFor({ id, role: "user" }) }), "lobby", options);
}

/** What is said in a room up to and with these words. */
async function hear(room: Room, last: string): Promise<string[]> {
  const heard: string[] = [];
  const messages = room[Symbol.asyncIterator]();
  for (;;) {
    const { done, value } = await messages.next();
    if (done) expect.fail(`the room was left after ${heard}`);
    heard.push(wordsOf(value));
    if (heard.at(-1) === last) return heard;
  }
}

describe("joinRoom", () => {
  it("posts texts in their order, and tells where they are", async () => {
    const server = await startTestServer();
    await using ada = enter(server, "ada");
    const posted = await Promise.all(["one", "two", "three"].map((text) => ada.send(text)));
    expect(posted.map(wordsOf)).toEqual(["1 ada: one", "2 ada: two", "3 ada: three"]);
    expect(ada.sequence).toBe(3n);
    await using bob = enter(server, "bob");
    expect(await hear(bob, "joined at 3")).toEqual(["1 ada: one", "2 ada: two", "3 ada: three", "joined at 3"]);
  });

  it("begins after what is known already", async () => {
    const server = await startTestServer();
    await using ada = enter(server, "ada");
    for (const text of ["one", "two"]) await ada.send(text);
    await using bob = enter(server, "bob", { afterSequence: 1 });
    expect(await hear(bob, "joined at 2")).toEqual(["2 ada: two", "joined at 2"]);
  });

  it("posts a text with the same id once", async () => {
    const server = await startTestServer();
    await using ada = enter(server, "ada");
    const clientMessageId = "mine";
    const [first, again] = await Promise.all([1, 2].map(() => ada.send("once", { clientMessageId })));
    expect(again).toBe(first);
    await ada.send("another");
    expect(ada.sequence).toBe(2n);
  });

  it("resolves a text with an id that has come already, without posting it", async () => {
    const server = await startTestServer();
    await using ada = enter(server, "ada");
    const first = await ada.send("once", { clientMessageId: "mine" });
    expect(await ada.send("once", { clientMessageId: "mine" })).toBe(first);
  });

  it("rejects a text with an id that came before what is known, when it is closed", async () => {
    const server = await startTestServer();
    await using ada = enter(server, "ada");
    await ada.send("once", { clientMessageId: "mine" });
    await using again = enter(server, "ada", { afterSequence: 1 });
    const posted = failureOf(again.send("once", { clientMessageId: "mine" }));
    await again.close();
    expect(await posted).toMatchObject({ code: "AlreadyExists" });
  });

  it("leaves when the texts have come back, and lets what has come be read", async () => {
    const server = await startTestServer();
    const ada = enter(server, "ada");
    const posted = ada.send("bye");
    await ada.close();
    expect(wordsOf(await posted)).toBe("1 ada: bye");
    const heard = (await Array.fromAsync(ada)).map(wordsOf);
    expect(heard).toContain("1 ada: bye");
    expect(await failureOf(ada.send("late"))).toMatchObject({ code: "Canceled" });
    expect(await server.logs.waitForCalls(1, "Chat")).toMatchObject([{ code: "OK" }]);
  });

  it("leaves at once when its loop is left, and rejects what has not come back", async () => {
    await using fake = await createFake({
      async *chat(messages) {
        for await (const { type } of messages) if (type === JOIN) yield { type: JOINED, room: "lobby" };
      },
    });
    const ada = enter(fake, "ada");
    const posted = failureOf(ada.send("lost"));
    for await (const _ of ada) break;
    expect(await posted).toMatchObject({ code: "Canceled", message: "the room was left" });
  });

  it("fails for good with what waiting does not mend", async () => {
    await using fake = await createFake({ chat: failing({ code: "PERMISSION_DENIED" }) });
    const ada = enter(fake, "ada");
    expect(await failureOf(ada.send("hello"))).toMatchObject({ code: "PermissionDenied" });
    expect(await failureOf(Array.fromAsync(ada))).toMatchObject({ code: "PermissionDenied" });
    expect(await failureOf(ada.send("hello"))).toMatchObject({ code: "PermissionDenied" });
    await ada.close();
  });

  it("ends with the caller's signal", async () => {
    const leaving = new AbortController();
    const ada = enter(await startTestServer(), "ada", { signal: leaving.signal });
    await ada.send("hello");
    leaving.abort();
    expect(await failureOf(Array.fromAsync(ada))).toMatchObject({ code: "Canceled" });
    const late = enter(await startTestServer(), "ada", { signal: leaving.signal });
    expect(await failureOf(Array.fromAsync(late))).toMatchObject({ code: "Canceled" });
  });

  it("is left at once between two calls if nothing is under way", async () => {
    await using fake = await createFake({ chat: failing({ code: "UNAVAILABLE", retryDelayMs: 60_000 }) });
    const interrupted = Promise.withResolvers<void>();
    const ada = enter(fake, "ada", { onInterrupted: () => interrupted.resolve() });
    await interrupted.promise;
    await ada.close();
    expect(await Array.fromAsync(ada)).toEqual([]);
  });

  it("takes no more from the service than is read, but for those who only post", async () => {
    const server = await startTestServer();
    await using ada = enter(server, "ada", { postOnly: true });
    for (let n = 0; n < 400; n += 50) await Promise.all(Array.from({ length: 50 }, (_, i) => ada.send(`${n + i}`)));
    const bob = enter(server, "bob");
    const first = (await bob[Symbol.asyncIterator]().next()).value as ChatMessage;
    expect(wordsOf(first)).toBe("1 ada: 0");
    await ada.send("last");
    expect(bob.sequence).toBeLessThan(300n);
    await bob.close();
  });
});

describe("a room whose calls break off", () => {
  const text = (sequence: number, message: string, clientMessageId = "") => ({
    type: TEXT,
    room: "lobby",
    sequence: BigInt(sequence),
    message,
    clientMessageId,
  });

  it("is joined again after the last text, and gets again what has not come back", async () => {
    await using fake = await createFake({
      chat: [
        async function* (messages) {
          yield { type: JOINED, room: "lobby" };
          yield text(1, "one");
          for await (const { type } of messages) if (type === TEXT) throw unavailable();
        },
        async function* (messages) {
          for await (const { type, message, clientMessageId } of messages) {
            if (type === JOIN) yield* [text(1, "one"), text(2, "two"), { type: JOINED, room: "lobby", sequence: 2n }];
            else yield text(3, message, clientMessageId);
          }
        },
      ],
    });
    const interruptions: ConnectError[] = [];
    await using ada = enter(fake, "ada", { onInterrupted: (error) => interruptions.push(error) });
    expect(wordsOf(await ada.send("mine"))).toBe("3 : mine");
    expect(await hear(ada, "3 : mine")).toEqual(["joined at 0", "1 : one", "2 : two", "joined at 2", "3 : mine"]);
    expect(interruptions).toHaveLength(1);
    const [join, post] = (fake.calls[1]?.requests ?? []) as ChatMessage[];
    expect(join?.afterSequence).toBe(1n);
    const [, firstPost] = (fake.calls[0]?.requests ?? []) as ChatMessage[];
    expect(post?.clientMessageId).toBe(firstPost?.clientMessageId);
  });

  it("is joined from its beginning where it has begun anew", async () => {
    const first = await startTestServer({ environment: { PORT: String(await lastingPort()) } });
    await using ada = enter(first, "ada", { postOnly: true });
    for (const message of ["one", "two", "three"]) await ada.send(message);
    await first.server.stop();
    await startTestServer({ environment: { PORT: String(first.port) } });
    expect(wordsOf(await ada.send("four"))).toBe("1 ada: four");
  });

  it("goes on at other replicas, where nothing is missed, repeated or posted twice", async () => {
    const environment = { DATABASE_URL: await freshDatabase() };
    const startReplica = (port: number) => servingTestServer({ environment: { ...environment, PORT: String(port) } });
    const replicas = [await startReplica(await lastingPort()), await startReplica(await lastingPort())];
    const address = `ipv4:${replicas.map((replica) => replica.address).join(",")}`;
    const rooms = ["ada", "bob"].map((id) => enter({ address }, id));
    const heard = rooms.map((room) => Array.fromAsync(room));
    const posted: Promise<ChatMessage>[] = [];
    for (const [index, { port, server }] of replicas.entries()) {
      for (let n = 0; n < 20; n++) for (const room of rooms) posted.push(room.send(`${index} ${n}`));
      await Promise.all(posted.slice(0, posted.length / 2));
      await server.stop();
      await startReplica(port);
    }
    const sequences = (await Promise.all(posted)).map(({ sequence }) => Number(sequence));
    expect(sequences.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 80 }, (_, n) => n + 1));
    await rooms[0]?.close();
    await expect.poll(() => rooms[1]?.sequence).toBe(80n);
    await rooms[1]?.close();
    for (const messages of await Promise.all(heard)) {
      const texts = messages.filter(({ type }) => type === TEXT).map(({ sequence }) => Number(sequence));
      expect(texts).toEqual(Array.from({ length: texts.length }, (_, n) => n + 1));
      expect(texts.length).toBe(80);
    }
  });
});
