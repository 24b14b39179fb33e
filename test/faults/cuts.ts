import { once } from "node:events";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { connect as connectSocket, type Socket } from "node:net";
import { setImmediate, setTimeout } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Client as ConnectClient, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { type CallOptions, Client, type ClientWritableStream, credentials, Metadata, status } from "@grpc/grpc-js";
import { type CreateUserRequest, CreateUserRequestSchema, UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import type { Random } from "../support/random.ts";
import { closed, endOf, frame, rawCall } from "./raw-call.ts";

/** What shall be cut, and where. */
export interface CutPlan {
  readonly port: number;
  /** A token that may create users. */
  readonly token: string;
  readonly seed: number;
  /** How many streams. */
  readonly count: number;
}

/** How many streams of each kind ended how, as `kind: end`. */
export type CutReport = Record<string, number>;

/** Streams that are open at a time. They share their connections, on which Node would not bear many more resets. */
const CONCURRENCY = 50;
const MAX_MESSAGES = 5;
const PATH = "/user.v1.UserService/CreateUsers";

/** A user to create. */
type NewUser = { readonly email: string; readonly name: string };

/** What a kind of cut works with: connections that it shares with other cuts, and the users it sends, at least one. */
interface Bench {
  readonly port: number;
  /** Request metadata: who calls, and the kind of cut as the request id. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly random: Random;
  readonly grpc: Client;
  readonly connect: ConnectClient<typeof UserService>;
  readonly session: ClientHttp2Session;
}

/** Sends some or all of the users, never half-closes the call as a client means it, and returns how the call ended. */
type Cut = (bench: Bench, users: readonly NewUser[]) => Promise<string>;

/** Every kind of cut, by the request id of its calls, and how they have to end as the client sees it. */
export const CUTS: Readonly<Record<string, { readonly end: string; readonly cut: Cut }>> = {
  "grpc-js-cancels": { end: "CANCELLED", cut: cancelGrpc },
  "grpc-js-cancels-and-is-busy": { end: "CANCELLED", cut: cancelGrpcAndBeBusy },
  "grpc-js-runs-out-of-time": { end: "DEADLINE_EXCEEDED", cut: expireGrpc },
  "connect-aborts": { end: "CANCELLED", cut: abortConnect },
  "stream-closed": { end: "no status", cut: closeStream },
  "stream-reset": { end: "no status", cut: resetStream },
  "connection-broken": { end: "no status", cut: breakConnection },
  "connection-broken-inside-message": { end: "no status", cut: breakInsideMessage },
  "stream-ended-inside-message": { end: "DATA_LOSS", cut: endInsideMessage },
  "stream-ended-with-wrong-count": { end: "DATA_LOSS", cut: endWithWrongCount },
};

/** Cuts streams, many at a time. The seed decides kinds and moments; the scheduling of the processes does the rest. */
export async function cutStreams(plan: CutPlan, random: Random): Promise<CutReport> {
  const report: CutReport = {};
  const kinds = Object.entries(CUTS);
  let left = plan.count;
  let serial = 0;
  const cutOne = async (bench: Omit<Bench, "metadata">): Promise<void> => {
    const [kind, { cut }] = kinds[serial++ % kinds.length] ?? expectKind();
    const metadata = { authorization: `Bearer ${plan.token}`, "x-request-id": kind };
    const users = newUsers(`${plan.seed}-${serial}`, random.between(1, MAX_MESSAGES));
    const end = await cut({ ...bench, metadata }, users);
    const key = `${kind}: ${end}`;
    report[key] = (report[key] ?? 0) + 1;
  };
  for (; left > 0; left -= CONCURRENCY) {
    await withBench(plan.port, random, async (bench) => {
      await Promise.all(Array.from({ length: Math.min(left, CONCURRENCY) }, () => cutOne(bench)));
    });
  }
  return report;
}

function expectKind(): never {
  throw new Error("there is no kind of cut");
}

function newUsers(prefix: string, count: number): NewUser[] {
  return Array.from({ length: count }, (_, index) => ({ email: `cut-${prefix}-${index}@example.com`, name: "Cut" }));
}

async function withBench(
  port: number,
  random: Random,
  use: (bench: Omit<Bench, "metadata">) => Promise<void>,
): Promise<void> {
  const baseUrl = `http://127.0.0.1:${port}`;
  const grpc = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
  });
  const sessionManager = new Http2SessionManager(baseUrl);
  const session = connect(baseUrl);
  try {
    // On a connection that is not there yet, a cut would leave nothing to send.
    await Promise.all([ready(grpc), sessionManager.connect(), once(session, "connect")]);
    const transport = createGrpcTransport({ baseUrl, sessionManager });
    await use({ port, random, grpc, session, connect: createClient(UserService, transport) });
  } finally {
    grpc.close();
    sessionManager.abort();
    session.destroy();
  }
}

function ready(client: Client): Promise<void> {
  return new Promise((resolve, reject) => {
    client.waitForReady(Date.now() + 10_000, (error) => (error ? reject(error) : resolve()));
  });
}

/** Lets pass what may lie between the last message and the cut: nothing, one turn of the event loop, or some milliseconds. */
async function pause(random: Random): Promise<void> {
  const length = random.pick(["none", "turn", "time"]);
  if (length === "turn") await setImmediate();
  if (length === "time") await setTimeout(random.between(1, 5));
}

async function cancelGrpc(bench: Bench, users: readonly NewUser[]): Promise<string> {
  const { call, ended } = callGrpc(bench, {});
  for (const user of users.slice(0, -1)) await written(call, user);
  const lastWritten = written(call, users.at(-1));
  // Otherwise in the same turn of the event loop; but a call that is cancelled in the turn it starts in grpc-js never resets,
  // so it would stay open until its deadline.
  if (users.length === 1 || bench.random.next() < 0.8) {
    await lastWritten;
    await pause(bench.random);
  }
  call.cancel();
  return ended;
}

/** Lets an event loop that is busy with something else come between the half-close, as Node sends it first, and the reset. */
async function cancelGrpcAndBeBusy(bench: Bench, users: readonly NewUser[]): Promise<string> {
  const { call, ended } = callGrpc(bench, {});
  for (const user of users) await written(call, user);
  await pause(bench.random);
  const busyMs = bench.random.between(10, 40);
  call.cancel();
  process.nextTick(() => {
    const end = performance.now() + busyMs;
    while (performance.now() < end);
  });
  return ended;
}

async function expireGrpc(bench: Bench, users: readonly NewUser[]): Promise<string> {
  const { call, ended } = callGrpc(bench, { deadline: Date.now() + bench.random.between(10, 60) });
  for (const user of users) call.write(create(CreateUserRequestSchema, user));
  return ended;
}

function callGrpc(
  { grpc, metadata }: Bench,
  options: CallOptions,
): { call: ClientWritableStream<CreateUserRequest>; ended: Promise<string> } {
  const { promise: ended, resolve } = Promise.withResolvers<string>();
  const call = grpc.makeClientStreamRequest(
    PATH,
    (request: CreateUserRequest) => Buffer.from(toBinary(CreateUserRequestSchema, request)),
    (bytes) => bytes,
    Metadata.fromHttp2Headers(metadata),
    options,
    (error) => resolve(codeName(error?.code ?? status.OK)),
  );
  return { call, ended };
}

/** Waits until a message has left, or has failed to. */
function written(call: ClientWritableStream<CreateUserRequest>, user: NewUser | undefined): Promise<void> {
  return new Promise((resolve) => call.write(create(CreateUserRequestSchema, user), () => resolve()));
}

async function abortConnect({ connect, metadata, random }: Bench, users: readonly NewUser[]): Promise<string> {
  const abort = new AbortController();
  const ended = Promise.withResolvers<void>();
  async function* requests(): AsyncGenerator<NewUser> {
    // What follows a yield happens when the next message is wanted.
    yield* users;
    await pause(random);
    abort.abort();
    await ended.promise;
  }
  try {
    await connect.createUsers(requests(), {
      headers: metadata,
      signal: abort.signal,
    });
    return "OK";
  } catch (error) {
    return codeName(ConnectError.from(error).code);
  } finally {
    ended.resolve();
  }
}

/** Node ends its half of a stream that it closes, before it resets it. */
async function closeStream({ session, metadata, random }: Bench, users: readonly NewUser[]): Promise<string> {
  const stream = rawCall(session, PATH, metadata);
  stream.write(framesOf(users));
  await pause(random);
  stream.close(random.pick([constants.NGHTTP2_CANCEL, constants.NGHTTP2_INTERNAL_ERROR]));
  return (await endOf(stream)) ?? "no status";
}

async function resetStream({ session, metadata, random }: Bench, users: readonly NewUser[]): Promise<string> {
  const stream = rawCall(session, PATH, metadata);
  const ended = endOf(stream);
  // A stream that is destroyed sends nothing of what it still holds.
  await new Promise((resolve) => stream.write(framesOf(users), resolve));
  await pause(random);
  stream.destroy();
  return (await ended) ?? "no status";
}

function breakConnection(bench: Bench, users: readonly NewUser[]): Promise<string> {
  return breakAfter(framesOf(users), bench);
}

function breakInsideMessage(bench: Bench, users: readonly NewUser[]): Promise<string> {
  return breakAfter(truncated(users, bench.random), bench);
}

async function breakAfter(bytes: Buffer, { port, metadata, random }: Bench): Promise<string> {
  const socket = connectSocket(port, "127.0.0.1");
  socket.on("error", () => {});
  const session = connect(`http://127.0.0.1:${port}`, { createConnection: () => socket });
  session.on("error", () => {});
  const stream = rawCall(session, PATH, metadata);
  const ended = endOf(stream);
  await new Promise((resolve) => stream.write(bytes, resolve));
  await pause(random);
  await breakSocket(socket, random);
  return (await ended) ?? "no status";
}

/** Ends a connection under the feet of HTTP/2: by FIN, or by RST. */
async function breakSocket(socket: Socket, random: Random): Promise<void> {
  if (random.next() < 0.5) socket.destroy();
  else socket.resetAndDestroy();
  if (!socket.closed) await closed(socket);
}

async function endInsideMessage({ session, metadata, random }: Bench, users: readonly NewUser[]): Promise<string> {
  const stream = rawCall(session, PATH, metadata);
  stream.write(truncated(users, random));
  await pause(random);
  stream.end();
  return (await endOf(stream)) ?? "no status";
}

async function endWithWrongCount({ session, metadata, random }: Bench, users: readonly NewUser[]): Promise<string> {
  const expected = users.length + random.pick([-1, 1, 1000]);
  const stream = rawCall(session, PATH, { ...metadata, "x-expected-count": String(expected) });
  stream.write(framesOf(users));
  await pause(random);
  stream.end();
  return (await endOf(stream)) ?? "no status";
}

function codeName(code: number): string {
  return status[code] ?? `code ${code}`;
}

function framesOf(users: readonly NewUser[]): Buffer {
  return Buffer.concat(users.map((user) => frame(CreateUserRequestSchema, user)));
}

/** The frames of the users, the last of them incomplete but begun. */
function truncated(users: readonly NewUser[], random: Random): Buffer {
  const whole = framesOf(users);
  const last = framesOf(users.slice(-1)).length;
  return whole.subarray(0, whole.length - random.between(1, last - 1));
}
