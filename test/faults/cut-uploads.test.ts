import { once } from "node:events";
import { connect, constants } from "node:http2";
import { connect as connectSocket } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { UploadUserDataRequestSchema } from "../../src/gen/user/v1/upload_pb.ts";
import { FULL } from "../support/full.ts";
import { chooseSeed, Random } from "../support/random.ts";
import { ADMIN, startTestServer, tokenFor, userClient } from "../support/server.ts";
import { csvOf, everybody, messagesOf } from "../user-service/upload-files.ts";
import { closed, endOf, frame, rawCall } from "./raw-call.ts";

const CUTS = FULL ? 3000 : 100;
const PATH = "/user.v1.UserService/UploadUserData";

/** A file that would create users, as the bytes of a whole call. */
const MESSAGES = messagesOf(csvOf(20), { chunkBytes: 300 });
const CALL = Buffer.concat(MESSAGES.map((message) => frame(UploadUserDataRequestSchema, message)));

/** Sends the first bytes of a call, never half-closes it as a client means it, and returns how it ended. */
type Cut = (bytes: Buffer, port: number, metadata: Readonly<Record<string, string>>, random: Random) => Promise<string>;

const KINDS: Readonly<Record<string, Cut>> = {
  "stream closed": async (bytes, port, metadata, random) =>
    onStream(port, metadata, async (stream) => {
      stream.write(bytes);
      stream.close(random.pick([constants.NGHTTP2_CANCEL, constants.NGHTTP2_INTERNAL_ERROR]));
    }),
  "stream reset": async (bytes, port, metadata) =>
    onStream(port, metadata, async (stream) => {
      await new Promise((resolve) => stream.write(bytes, resolve));
      stream.destroy();
    }),
  "connection broken": async (bytes, port, metadata, random) => {
    const socket = connectSocket(port, "127.0.0.1");
    socket.on("error", () => {});
    const session = connect(`http://127.0.0.1:${port}`, { createConnection: () => socket });
    session.on("error", () => {});
    const stream = rawCall(session, PATH, metadata);
    const ended = endOf(stream);
    await new Promise((resolve) => stream.write(bytes, resolve));
    if (random.next() < 0.5) socket.destroy();
    else socket.resetAndDestroy();
    if (!socket.closed) await closed(socket);
    return (await ended) ?? "no status";
  },
  "stream ended too early": async (bytes, port, metadata) =>
    onStream(port, metadata, async (stream) => stream.end(bytes.subarray(0, CALL.length - 1))),
  "call cancelled": async (_bytes, port, metadata, random) => {
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
    });
    await new Promise<void>((resolve, reject) => {
      client.waitForReady(Date.now() + 10_000, (error) => (error ? reject(error) : resolve()));
    });
    const { promise: ended, resolve } = Promise.withResolvers<string>();
    const call = client.makeClientStreamRequest(
      PATH,
      (message: (typeof MESSAGES)[number]) =>
        Buffer.from(toBinary(UploadUserDataRequestSchema, create(UploadUserDataRequestSchema, message))),
      (answer) => answer,
      Metadata.fromHttp2Headers(metadata),
      {},
      (error) => resolve(status[error?.code ?? status.OK] ?? ""),
    );
    const count = random.pick([1, 2, MESSAGES.length, MESSAGES.length]);
    for (const message of MESSAGES.slice(0, count)) await new Promise((sent) => call.write(message, sent));
    call.cancel();
    const end = await ended;
    client.close();
    return end;
  },
};

/** How the cuts have to end, as the client sees it. */
const ENDS: Readonly<Record<string, string>> = {
  "stream ended too early": "DATA_LOSS",
  "call cancelled": "CANCELLED",
};

describe("uploads cut before their half-close", () => {
  it("import nothing, wherever they are cut", async () => {
    const server = await startTestServer();
    const seed = chooseSeed();
    const random = new Random(seed);
    const metadata = { authorization: `Bearer ${await tokenFor(ADMIN)}` };
    for (let index = 0; index < CUTS; index++) {
      const [kind, cut] = random.pick(Object.entries(KINDS) as [[string, Cut], ...[string, Cut][]]);
      // Half of them have sent everything but the half-close.
      const length = random.next() < 0.5 ? CALL.length : random.between(1, CALL.length);
      const context = `SEED=${seed}, cut ${index}: ${kind} after ${length} of ${CALL.length} bytes`;
      const end = await cut(CALL.subarray(0, length), server.port, metadata, random);
      // A stream that ends before its header has nothing in it.
      const expected = ENDS[kind] ?? "no status";
      expect([expected, kind === "stream ended too early" ? "INVALID_ARGUMENT" : expected], context).toContain(end);
    }
    await expect.poll(() => server.server.openCalls, { timeout: 5000 }).toBe(0);
    expect(await everybody(userClient(server)), `SEED=${seed}`).toEqual([]);
    expect(server.logs.calls("/UploadUserData").filter(({ code }) => code === "OK")).toEqual([]);
  });
});

/** Opens a call on a connection of its own, and returns how it ends. */
async function onStream(
  port: number,
  metadata: Readonly<Record<string, string>>,
  cut: (stream: ReturnType<typeof rawCall>) => Promise<unknown>,
): Promise<string> {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  await once(session, "connect");
  const stream = rawCall(session, PATH, metadata);
  const ended = endOf(stream);
  await cut(stream);
  const end = (await ended) ?? "no status";
  session.destroy();
  return end;
}
