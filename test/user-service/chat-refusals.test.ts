import { describe, expect, it } from "vitest";
import { UserStatus } from "../../src/gen/user/v1/user_pb.ts";
import { startTestServer, userClient } from "../support/server.ts";
import {
  type ChatInit,
  GAP,
  JOIN,
  JOINED,
  LEAVE,
  LEFT,
  MEMBER_JOINED,
  MEMBER_LEFT,
  Member,
  TEXT,
} from "./chat-member.ts";
import { PLACES } from "./chat-places.ts";
import { createUser, updateUser } from "./users.ts";

const ROOM = "lobby";

describe.each(PLACES)("Chat, in rooms $where", ({ open }) => {
  it("fails with FAILED_PRECONDITION for a room that the client is in", async () => {
    const ada = (await open()).enter("ada");
    await ada.join(ROOM);
    ada.say({ room: ROOM, type: JOIN });
    expect(await ada.end).toMatchObject({
      code: "FailedPrecondition",
      reason: "ALREADY_IN_ROOM",
      facts: { room: ROOM },
    });
  });

  it("fails with FAILED_PRECONDITION for a 17th room, and admits to it who leaves another", async () => {
    const ada = (await open()).enter("ada");
    for (let index = 1; index <= 16; index++) await ada.join(`room ${index}`);
    await ada.leave("room 5");
    await ada.join("room 17");
    for (let index = 1; index <= 17; index++) if (index !== 5) ada.post(`room ${index}`, "hello");
    await ada.until(({ type }) => type === TEXT, 16);
    ada.say({ room: "room 5", type: JOIN });
    expect(await ada.end).toMatchObject({
      code: "FailedPrecondition",
      reason: "TOO_MANY_ROOMS",
      facts: { limit: "16" },
    });
  });

  it.each([
    ["a text", TEXT],
    ["a LEAVE", LEAVE],
  ])("fails with FAILED_PRECONDITION for %s to a room that has not been joined, or has been left", async (_, type) => {
    const place = await open();
    const [ada, bob] = [place.enter("ada"), place.enter("bob")];
    await ada.join(ROOM);
    ada.say({ room: "elsewhere", type, message: "hello" });
    const refusal = { code: "FailedPrecondition", reason: "NOT_IN_ROOM" };
    expect(await ada.end).toMatchObject({ ...refusal, facts: { room: "elsewhere" } });
    await bob.join(ROOM);
    await bob.leave(ROOM);
    bob.say({ room: ROOM, type, message: "hello" });
    expect(await bob.end).toMatchObject({ ...refusal, facts: { room: ROOM } });
    const eve = place.enter("eve", 1);
    await eve.join("elsewhere");
    expect(eve.textsIn("elsewhere")).toEqual([]);
  });

  it("delivers what was posted before a failure to others, who stay", async () => {
    const place = await open();
    const [ada, bob] = [place.enter("ada"), place.enter("bob", 1)];
    for (const member of [ada, bob]) await member.join(ROOM);
    ada.post(ROOM, "last words");
    ada.post("elsewhere", "hello");
    expect(await ada.end).toMatchObject({ reason: "NOT_IN_ROOM" });
    await bob.hears("1 ada: last words");
    bob.post(ROOM, "farewell");
    await bob.hears("2 bob: farewell");
  });
});

/** A message that breaks a rule, as the third of its call, and what the violation is. */
const WRONG: readonly (readonly [what: string, message: ChatInit, violation: string])[] = [
  ["an empty text", { message: "" }, "message: TEXT_LENGTH"],
  ["a text of 8193 bytes", { message: "x".repeat(8193) }, "message: TEXT_LENGTH"],
  ["a text of 8193 bytes in fewer characters", { message: `${"😀".repeat(2048)}x` }, "message: TEXT_LENGTH"],
  ["a text with U+0000", { message: "a\u0000b" }, "message: TEXT_CHARACTER"],
  ["a JOINED", { type: JOINED }, "type: TYPE_NOT_ALLOWED"],
  ["a LEFT", { type: LEFT }, "type: TYPE_NOT_ALLOWED"],
  ["a MEMBER_JOINED", { type: MEMBER_JOINED }, "type: TYPE_NOT_ALLOWED"],
  ["a MEMBER_LEFT", { type: MEMBER_LEFT }, "type: TYPE_NOT_ALLOWED"],
  ["a GAP", { type: GAP }, "type: TYPE_NOT_ALLOWED"],
  ["an unknown type", { type: 99 as typeof GAP }, "type: ENUM_DEFINED_ONLY"],
  ["a user_id of 129 bytes", { message: "a", userId: "x".repeat(129) }, "user_id: STRING_MAX_BYTES"],
  ["an id of 129 bytes", { message: "a", clientMessageId: "x".repeat(129) }, "client_message_id: STRING_MAX_BYTES"],
  ["an id with U+0000", { message: "a", clientMessageId: "\u0000" }, "client_message_id: STRING_NULL_CHARACTER"],
  ["a room of 129 bytes", { type: JOIN, room: "x".repeat(129) }, "room: STRING_MAX_BYTES"],
  ["a room with a control character", { type: JOIN, room: "a\nb" }, "room: STRING_PATTERN"],
  ["a room with U+0000", { type: JOIN, room: "a\u0000" }, "room: STRING_PATTERN"],
  ["a room with U+007F", { type: JOIN, room: "a\u007f" }, "room: STRING_PATTERN"],
  ["a sequence below 0", { type: JOIN, room: "b", afterSequence: -1n }, "after_sequence: INT64_GTE"],
];

describe("Chat, in rooms", () => {
  it.each(WRONG)("fails with INVALID_ARGUMENT for %s, and names the field", async (_, message, violation) => {
    const ada = new Member(userClient(await startTestServer(), { id: "ada", role: "user" }));
    ada.say({ message: "an echo" });
    await ada.join(ROOM);
    ada.say({ room: ROOM, ...message });
    expect(await ada.end).toMatchObject({ code: "InvalidArgument", violations: [`messages[2].${violation}`] });
    expect(ada.heard).toEqual(["server: Echo: an echo", "joined at 0"]);
  });

  it("takes what is just within the limits", async () => {
    const id = "i".repeat(128);
    const ada = new Member(userClient(await startTestServer(), { id: "ada", role: "user" }));
    const room = "😀".repeat(32);
    await ada.join(room);
    for (const text of ["x", "x".repeat(8192), "😀".repeat(2048), "\u0001\n\u007f"]) {
      ada.say({ room, message: text, userId: id, clientMessageId: `${text.length}`.padStart(128, "i") });
      await ada.until(({ type, message }) => type === TEXT && message === text);
    }
    await ada.join("another", Number.MAX_SAFE_INTEGER);
    ada.say({ room: "third", type: JOIN, afterSequence: 2n ** 63n - 1n });
    await ada.until(({ type, room: joined }) => type === JOINED && joined === "third");
    expect(await ada.finish()).toBeUndefined();
  });
});

describe("Chat, of somebody", () => {
  it("says who they are, whatever they say themselves", async () => {
    const server = await startTestServer();
    const ada = new Member(userClient(server, { id: "ada", role: "user" }));
    ada.say({ room: ROOM, type: JOIN, userId: "bob" });
    ada.say({ room: ROOM, message: "hello", userId: "bob" });
    await ada.hears("1 ada: hello");
    await ada.sees(ROOM, "ada");
  });

  it("believes them without authentication, for each text anew", async () => {
    const server = await startTestServer({ environment: { AUTH: "none" } });
    const somebody = new Member(userClient(server, null));
    somebody.say({ room: ROOM, type: JOIN, userId: "bob" });
    somebody.say({ room: ROOM, message: "hello", userId: "eve" }, { room: ROOM, message: "it is me" });
    await somebody.hears("2 bob: it is me");
    expect(somebody.textsIn(ROOM)).toEqual(["1 eve: hello", "2 bob: it is me"]);
    await somebody.sees(ROOM, "bob");
    const nobody = new Member(userClient(server, null));
    await nobody.join(ROOM);
    await nobody.sees(ROOM, "bob", "anonymous");
  });

  it("fails with UNAUTHENTICATED without a token", async () => {
    const nobody = new Member(userClient(await startTestServer(), null));
    nobody.say({ room: ROOM, type: JOIN });
    expect(await nobody.end).toMatchObject({ code: "Unauthenticated" });
    expect(nobody.heard).toEqual([]);
  });

  it("fails with PERMISSION_DENIED for who is suspended", async () => {
    const server = await startTestServer();
    const admin = userClient(server);
    const { id } = await createUser(admin);
    await updateUser(admin, { id, status: UserStatus.SUSPENDED }, "status");
    const grace = new Member(userClient(server, { id, role: "user" }));
    grace.say({ room: ROOM, type: JOIN });
    expect(await grace.end).toMatchObject({ code: "PermissionDenied", reason: "CALLER_SUSPENDED" });
    expect(grace.heard).toEqual([]);
  });

  it("fails with DEADLINE_EXCEEDED when the client's deadline is over, and shows them no more", async () => {
    const server = await startTestServer();
    const bob = new Member(userClient(server, { id: "bob", role: "user" }));
    await bob.join(ROOM);
    const ada = new Member(userClient(server, { id: "ada", role: "user" }), { timeoutMs: 300 });
    await ada.join(ROOM);
    await bob.sees(ROOM, "ada", "bob");
    expect(await ada.end).toMatchObject({ code: "DeadlineExceeded" });
    await bob.sees(ROOM, "bob");
  });
});
