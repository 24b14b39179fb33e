import { connect } from "node:http2";
import { fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it, onTestFinished } from "vitest";
import { type ChatMessage, ChatMessageSchema } from "../../src/gen/user/v1/user_service_pb.ts";
import { type TestServer, tokenFor } from "../support/server.ts";
import { GAP, JOIN, JOINED, TEXT } from "../user-service/chat-member.ts";
import { PLACES } from "../user-service/chat-places.ts";
import { endOf, frame, rawCall } from "./raw-call.ts";

const ROOM = "lobby";
/** More than are kept in memory for all who read, and more bytes than windows and buffers hold. */
const TEXTS = 1400;
const TEXT_BYTES = 1000;

/** A flag, and the length of the message. */
const FRAME_HEAD = 5;

/** Joins a room by hand, and reads nothing until it is told to. */
async function joinDeaf({ port }: TestServer, id: string) {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  onTestFinished(() => session.destroy());
  const authorization = `Bearer ${await tokenFor({ id, role: "user" })}`;
  const stream = rawCall(session, "/user.v1.UserService/Chat", { authorization });
  const say = (message: MessageInitShape<typeof ChatMessageSchema>) => stream.write(frame(ChatMessageSchema, message));
  say({ room: ROOM, type: JOIN });
  return {
    /** Half-closes the call, and reads all that comes. */
    async readOn(): Promise<{ status: string | undefined; messages: ChatMessage[] }> {
      const chunks: Buffer[] = [];
      stream.on("data", (bytes: Buffer) => chunks.push(bytes));
      stream.end();
      return { status: await endOf(stream), messages: messagesOf(Buffer.concat(chunks)) };
    },
    disconnect: () => session.destroy(),
  };
}

function messagesOf(frames: Buffer): ChatMessage[] {
  const messages: ChatMessage[] = [];
  for (let at = 0; at < frames.length; ) {
    const end = at + FRAME_HEAD + frames.readUInt32BE(at + 1);
    messages.push(fromBinary(ChatMessageSchema, frames.subarray(at + FRAME_HEAD, end)));
    at = end;
  }
  return messages;
}

/** What texts and gaps tell, all of which fit together: the sequences of the texts, and where the gaps end. */
function sequencesOf(messages: readonly ChatMessage[]): { texts: number[]; gaps: number[] } {
  const told = { texts: [] as number[], gaps: [] as number[] };
  const misfits: ChatMessage[] = [];
  let last = 0;
  for (const message of messages) {
    const { type } = message;
    if (type !== TEXT && type !== GAP) continue;
    const place = Number(message.sequence);
    const fits = type === TEXT ? place === last + 1 && message.message.length === TEXT_BYTES : place > last;
    if (!fits) misfits.push(message);
    (type === TEXT ? told.texts : told.gaps).push(place);
    last = place;
  }
  expect(misfits).toEqual([]);
  expect(last).toBe(TEXTS);
  return told;
}

describe.each(PLACES)("a member who stops reading, in rooms $where", ({ where, open }) => {
  it("delays nobody, and later reads everything in order", async () => {
    const place = await open();
    const [ada, bob] = [place.enter("ada"), place.enter("bob", 1)];
    for (const member of [ada, bob]) await member.join(ROOM);
    const deaf = await joinDeaf(place.servers[0], "deaf");
    await ada.sees(ROOM, "ada", "bob", "deaf");
    for (let index = 0; index < TEXTS; index++) ada.post(ROOM, "x".repeat(TEXT_BYTES));
    for (const member of [ada, bob]) await member.until(({ type }) => type === TEXT, TEXTS);
    const { status, messages } = await deaf.readOn();
    expect(status).toBe("OK");
    expect(messages[0]).toMatchObject({ type: JOINED });
    expect(sequencesOf(messages)).toEqual({ texts: Array.from({ length: TEXTS }, (_, i) => i + 1), gaps: [] });
    expect(await ada.finish()).toBeUndefined();
  });

  it("is no longer shown, and leaves no call open, when the connection breaks", async () => {
    const place = await open();
    const [ada, deaf] = [place.enter("ada"), await joinDeaf(place.servers[0], "deaf")];
    await ada.join(ROOM);
    await ada.sees(ROOM, "ada", "deaf");
    for (let index = 0; index < 200; index++) ada.post(ROOM, "x".repeat(TEXT_BYTES));
    await ada.until(({ type }) => type === TEXT, 200);
    deaf.disconnect();
    await ada.sees(ROOM, "ada");
    expect(await ada.finish()).toBeUndefined();
    for (const { server } of place.servers) await expect.poll(() => server.openCalls).toBe(0);
  });

  it.runIf(where === "in memory")("is told of a gap where history is no longer kept", async () => {
    const place = await open({ CHAT_HISTORY_MAX_COUNT: "10" });
    const [ada, deaf] = [place.enter("ada"), await joinDeaf(place.servers[0], "deaf")];
    await ada.join(ROOM);
    await ada.sees(ROOM, "ada", "deaf");
    for (let index = 0; index < TEXTS; index++) ada.post(ROOM, "x".repeat(TEXT_BYTES));
    await ada.until(({ type }) => type === TEXT, TEXTS);
    const { status, messages } = await deaf.readOn();
    expect(status).toBe("OK");
    const { texts, gaps } = sequencesOf(messages);
    expect(gaps).toHaveLength(1);
    expect(texts.length).toBeLessThan(TEXTS);
    expect(texts.slice(-10)).toEqual(Array.from({ length: 10 }, (_, i) => TEXTS - 9 + i));
  });
});
