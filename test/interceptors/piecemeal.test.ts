import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { ChatMessageSchema } from "../../src/gen/user/v1/user_service_pb.ts";
import {
  callFields,
  data,
  ERROR_CODES,
  headers,
  literalBlock,
  PREFACE,
  settings,
  TYPE,
} from "../support/http2-frames.ts";
import { openRawConnection } from "../support/raw-connection.ts";
import { frame } from "../support/raw-http2.ts";
import { ADMIN, startTestServer, tokenFor } from "../support/server.ts";

const CHAT = "/user.v1.UserService/Chat";

/** Opens a call of Chat, and sends these bytes in DATA frames of so many. */
async function sendInPieces(port: number, bytes: Buffer, size: number) {
  const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    data(1, bytes.subarray(index * size, (index + 1) * size)),
  );
  const call = headers(1, literalBlock(callFields(CHAT, await tokenFor(ADMIN))));
  return openRawConnection(port, PREFACE, settings(), call, Buffer.concat(pieces));
}

/** The first 1000 bytes of a message of 10 000. */
const UNFINISHED = frame(Buffer.alloc(10_000)).subarray(0, 1000);

test("a message that arrives in pieces of a byte costs its call", async () => {
  const { port, server, logs } = await startTestServer();
  const { payloads, received } = await sendInPieces(port, UNFINISHED, 1);
  await received(TYPE.RST_STREAM);
  const code = payloads(TYPE.RST_STREAM)[0]?.readUInt32BE(0) ?? 0;
  expect(ERROR_CODES[code]).toBe("ENHANCE_YOUR_CALM");
  expect(await logs.waitForCalls(1, "Chat")).toMatchObject([{ code: "RESOURCE_EXHAUSTED" }]);
  expect(server.openCalls).toBe(0);
});

test("a message may arrive in small pieces", async () => {
  const { port } = await startTestServer();
  const message = frame(toBinary(ChatMessageSchema, create(ChatMessageSchema, { message: "x".repeat(60_000) })));
  const end = message.length - 1;
  const honest = await sendInPieces(port, message.subarray(0, end), 80);
  // When this one is cut off, the other has been looked at.
  const other = await sendInPieces(port, UNFINISHED, 1);
  await other.received(TYPE.RST_STREAM);
  honest.socket.write(data(1, message.subarray(end)));
  await honest.received(TYPE.DATA);
  expect(String(honest.payloads(TYPE.DATA)[0])).toContain("Echo: xxx");
});
