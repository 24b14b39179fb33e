import { toJson } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { joinRoom, type Room } from "../client/chat.ts";
import { type ChatMessage, ChatMessageSchema, ChatMessageType } from "../gen/user/v1/user_service_pb.ts";
import { ChatScreen } from "./chat-screen.ts";
import { defineCommand } from "./command.ts";
import { CONNECTION_EXITS, CONNECTION_OPTIONS, causeOf, clientOf, explain, readConnection } from "./connection.ts";
import { reach } from "./target.ts";
import { paint, printable, type Terminal } from "./terminal.ts";
import { readCount } from "./values.ts";

/** So many texts of a long input are under way at a time. */
const MAX_POSTS = 64;

/** Talks with others in a room: each line is a text. */
export const chat = defineCommand({
  about:
    "Each line that is typed, or comes through a pipe, is posted. Goes on by itself when a connection is lost. Ctrl-C, Ctrl-D and the end of the input leave the room.",
  operand: { name: "ROOM", about: "the name of the room" },
  options: {
    ...CONNECTION_OPTIONS,
    as: { type: "string", value: "ID", about: "who speaks, where the service runs without authentication" },
    "after-sequence": { type: "string", value: "NUMBER", about: "begin after this text", default: "0" },
    json: { type: "boolean", about: "print one JSON object on each line: a ChatMessage" },
  },
  examples: ["user-service chat lobby", "echo 'deployed 1.4.2' | user-service chat releases"],
  exits: CONNECTION_EXITS,
  async run(values, name, terminal) {
    const afterSequence = readCount("after-sequence", values["after-sequence"], 0, Number.MAX_SAFE_INTEGER);
    const connection = await readConnection(values, terminal, "chat");
    await reach(connection);
    using screen = new ChatScreen(terminal);
    const { left } = screen;
    try {
      using client = clientOf(connection);
      const room = joinRoom(client, name, {
        signal: left,
        afterSequence,
        ...(values.as !== undefined && { userId: values.as }),
        onInterrupted: ({ rawMessage }) => screen.note(`interrupted, joining again: ${causeOf(rawMessage)}`),
      });
      void post(room, screen);
      for await (const message of room) {
        const text = values.json ? JSON.stringify(toJson(ChatMessageSchema, message)) : describe(message, terminal);
        if (text !== "") screen.print(text);
      }
      return 0;
    } catch (error) {
      if (left.aborted) return 0;
      throw explain(error, connection);
    }
  },
});

/** Posts each line of the input, and leaves the room at its end, when every text has come back. */
async function post(room: Room, screen: ChatScreen): Promise<void> {
  const posts: Promise<unknown>[] = [];
  try {
    for await (const line of screen.lines()) {
      if (line.trim() === "") continue;
      // Those who listen to the room are told why it ends.
      posts.push(room.send(line).catch(() => {}));
      if (posts.length > MAX_POSTS) await posts.shift();
    }
  } finally {
    await room.close();
  }
}

/** A line for what happens in the room; an empty one for what nobody wants to know. */
function describe(message: ChatMessage, terminal: Terminal): string {
  const { type, userId, memberIds, sequence } = message;
  const who = printable(userId);
  const time = message.timestamp === undefined ? "" : timestampDate(message.timestamp).toTimeString().slice(0, 8);
  switch (type) {
    case ChatMessageType.TEXT: {
      const text = message.message === "" ? "(deleted)" : printable(message.message);
      return `${paint(terminal, "dim", time)} ${paint(terminal, "bold", who)}: ${text}`;
    }
    case ChatMessageType.JOINED:
      return paint(terminal, "dim", `* here: ${memberIds.map(printable).join(", ")}`);
    case ChatMessageType.MEMBER_JOINED:
      return paint(terminal, "dim", `* ${who} comes`);
    case ChatMessageType.MEMBER_LEFT:
      return paint(terminal, "dim", `* ${who} goes`);
    case ChatMessageType.GAP:
      return paint(terminal, "dim", `* the texts up to ${sequence} are no longer kept`);
    default:
      return "";
  }
}
