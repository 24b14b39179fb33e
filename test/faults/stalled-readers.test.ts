import { once } from "node:events";
import type { ClientHttp2Stream } from "node:http2";
import { tmpdir } from "node:os";
import { fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { served } from "../../src/application.ts";
import { InProcessBus } from "../../src/bus/in-process-bus.ts";
import { BLANK_USER, draftUser, type User } from "../../src/domain/user.ts";
import { UserSchema } from "../../src/gen/user/v1/user_pb.ts";
import {
  ChatMessageSchema,
  CreateUserRequestSchema,
  ListUsersRequestSchema,
  UserService,
} from "../../src/gen/user/v1/user_service_pb.ts";
import { OPERATION_RETENTION } from "../../src/repository/documents.ts";
import { MemoryChatRooms } from "../../src/repository/memory/chat-rooms.ts";
import { MemoryDocuments } from "../../src/repository/memory/documents.ts";
import { MemoryImports } from "../../src/repository/memory/imports.ts";
import { MemoryPresences } from "../../src/repository/memory/presences.ts";
import { MemoryUserRepository } from "../../src/repository/memory/user-repository.ts";
import { Rooms } from "../../src/service/chat/rooms.ts";
import { CreationRequests } from "../../src/service/creation-requests.ts";
import { PresenceKeeper } from "../../src/service/presence-keeper.ts";
import { pageTokens, resumeTokens } from "../../src/service/sealed-tokens.ts";
import { createUploadIdentity } from "../../src/service/upload/upload-identity.ts";
import { UserChanges } from "../../src/service/user-changes.ts";
import { createUserService } from "../../src/service/user-service.ts";
import { RETENTION, SCOPE } from "../repository/suite/drafts.ts";
import { FULL } from "../support/full.ts";
import { startTestServer } from "../support/server.ts";
import { startServerProcess } from "../support/server-process.ts";
import { endOf, frame, rawCall } from "./raw-call.ts";
import { disconnect, growthOf, PATIENCE, type StallingClient, stalled, startClients } from "./stalling-clients.ts";

const CLIENTS = FULL ? 200 : 8;
const USERS = FULL ? 200_000 : 2000;
/** Users in a stream of all of them. */
const ALL_USERS = FULL ? 1_000_000 : 5000;
const PAGE_SIZE = 1000;
/** Long enough that one page is many times what the windows of HTTP/2 and of the server hold. */
const NAME = "x".repeat(500);

const MIB = 2 ** 20;

/** A flag, and the length of the message. */
const FRAME_HEAD = 5;

const MESSAGE = frame(ChatMessageSchema, { userId: "ada", message: "x".repeat(2000) });
/** How much a client that chats tries to send, in bytes. */
const CHAT_BYTES = 4 * MIB;

describe("clients that stop reading", () => {
  it("make ListUsers wait, and leave nothing behind", async () => {
    const service = serviceOf(await repositoryOf(USERS));
    const handlers = { yielded: 0, ended: 0 };
    const watched = served(UserService, {
      ...service,
      async *listUsers(request, context) {
        try {
          for await (const user of service.listUsers(request, context)) {
            handlers.yielded++;
            yield user;
          }
        } finally {
          handlers.ended++;
        }
      },
    });
    const server = await startTestServer({ environment: PATIENCE, services: [watched] });
    const clients = await startClients(server.port, CLIENTS);

    await Promise.all(clients.map((client) => stallListing(client, {})));
    expect(handlers.yielded / CLIENTS, "users taken from a handler whose client does not read").toBeLessThan(
      PAGE_SIZE / 2,
    );
    expect(handlers.ended, "handlers that ended meanwhile").toBe(0);

    disconnect(clients);
    const lines = await server.logs.waitForCalls(CLIENTS, "/ListUsers");
    expect(lines.filter(({ code }) => code === "CANCELLED")).toHaveLength(CLIENTS);
    await expect.poll(() => handlers.ended, { message: "handlers that never ended" }).toBe(CLIENTS);
    expect(server.server.openCalls).toBe(0);
  });

  it("make a stream of all users wait, and get the rest of it when they read on", async () => {
    const repository = await repositoryOf(ALL_USERS);
    const server = await startTestServer({
      environment: PATIENCE,
      services: [served(UserService, serviceOf(repository))],
    });
    const [reader = expect.fail("there is no client"), ...others] = await startClients(server.port, CLIENTS);

    const stalledStream = list(reader, { streamAll: true });
    await stalled(reader, stalledStream);
    await Promise.all(others.map((client) => stallListing(client, { streamAll: true })));
    expect(repository.pagesRead, "pages read for clients that do not read").toBe(CLIENTS);

    disconnect(others);
    const lines = await server.logs.waitForCalls(CLIENTS - 1, "/ListUsers");
    expect(lines.filter(({ code }) => code === "CANCELLED")).toHaveLength(CLIENTS - 1);

    const { emails, trailers } = await readOn(stalledStream);
    expect(emails).toEqual(newUsers(ALL_USERS, "user").map(({ email }) => email));
    expect(trailers).toMatchObject({ "grpc-status": "0" });
    expect(trailers).not.toHaveProperty("x-next-page-token");
    expect(server.server.openCalls).toBe(0);
  });

  it("make Chat stop listening to them, and leave nothing behind", async () => {
    const server = await startTestServer({ environment: PATIENCE });
    const clients = await startClients(server.port, CLIENTS);

    const sent = await Promise.all(clients.map(stallChat));
    expect(Math.max(...sent), "bytes the server took from a client that does not read").toBeLessThan(CHAT_BYTES / 8);

    disconnect(clients);
    const lines = await server.logs.waitForCalls(CLIENTS, "/Chat");
    expect(lines.filter(({ code }) => code === "CANCELLED")).toHaveLength(CLIENTS);
    expect(server.server.openCalls).toBe(0);
  });

  it.runIf(FULL)("cost the server little memory", async () => {
    const server = await startServerProcess(PATIENCE);
    await createUsers(server.port, USERS);
    // What is served for the first time is encoded, and kept; that is not what is measured here.
    const pageTokens = await readAllPages(server.port);
    expect(pageTokens).toHaveLength(CLIENTS);

    const listing = await growthOf(server, async () => {
      const readers = await startClients(server.port, CLIENTS);
      await Promise.all(readers.map((client, index) => stallListing(client, { pageToken: pageTokens[index] ?? "" })));
      return readers;
    });
    const lines = await server.logs.waitForCalls(2 * CLIENTS, "/ListUsers");
    expect(lines.filter(({ code }) => code === "CANCELLED")).toHaveLength(CLIENTS);

    const chatting = await growthOf(server, async () => {
      const talkers = await startClients(server.port, CLIENTS);
      await Promise.all(talkers.map(stallChat));
      return talkers;
    });
    await server.logs.waitForCalls(CLIENTS, "/Chat");

    console.info("growth of the server's memory in MiB:", { listing, chatting });
    expect(listing.resident).toBeLessThan(64);
    expect(listing.inUse).toBeLessThan(64);
    // They try to send 800 MiB.
    expect(chatting.resident).toBeLessThan(256);
    expect(chatting.inUse).toBeLessThan(128);
  });

  it.runIf(FULL)("cost the server little memory in a stream of all users, which leaves nothing behind", async () => {
    const server = await startServerProcess(PATIENCE);
    await createUsers(server.port, ALL_USERS, "a short name");
    // What the server needs the first time is not what is measured here.
    await readEverybody(server.port);

    const reading = await growthOf(server, () => readEverybody(server.port));
    const stalling = await growthOf(server, async () => {
      const readers = await startClients(server.port, CLIENTS);
      await Promise.all(readers.map((client) => stallListing(client, { streamAll: true })));
      return readers;
    });
    const lines = await server.logs.waitForCalls(2 + CLIENTS, "/ListUsers");
    expect(lines.filter(({ code }) => code === "CANCELLED")).toHaveLength(CLIENTS);

    console.info("growth of the server's memory in MiB, all users in a stream:", { reading, stalling });
    expect(reading.resident).toBeLessThan(64);
    expect(reading.inUse).toBeLessThan(64);
    expect(stalling.resident).toBeLessThan(64);
    // Resident memory says less: what was free before is taken first.
    expect(stalling.inUse).toBeLessThan(96);
  });
});

/** Counts the pages that are read of it. */
class CountingRepository extends MemoryUserRepository {
  pagesRead = 0;

  override list(...page: Parameters<MemoryUserRepository["list"]>): Promise<User[]> {
    this.pagesRead++;
    return super.list(...page);
  }
}

async function repositoryOf(count: number): Promise<CountingRepository> {
  const repository = new CountingRepository(RETENTION);
  await repository.create(
    newUsers(count, "user").map((user) => draftUser({ ...BLANK_USER, ...user })),
    SCOPE,
  );
  return repository;
}

function serviceOf(repository: MemoryUserRepository): ServiceImpl<typeof UserService> {
  const key = new Uint8Array(32);
  const bus = new InProcessBus();
  const presences = new PresenceKeeper(new MemoryPresences(), bus);
  return createUserService({
    repository,
    pageTokens: pageTokens(() => key),
    resumeTokens: resumeTokens(() => key),
    bus,
    userChanges: new UserChanges(repository.changes, bus),
    documents: new MemoryDocuments(repository, OPERATION_RETENTION),
    presences,
    rooms: new Rooms(new MemoryChatRooms(RETENTION), presences, bus),
    authenticates: false,
    creationRequests: new CreationRequests(() => key),
    maxUsersPerCall: 1,
    imports: new MemoryImports(new MemoryUserRepository(RETENTION)),
    identifyUpload: createUploadIdentity(() => key),
    spooling: { directory: tmpdir(), maxBytes: 1 },
    announce: () => {},
  });
}

type ListRequest = MessageInitShape<typeof ListUsersRequestSchema>;

function list({ session, metadata }: StallingClient, request: ListRequest): ClientHttp2Stream {
  const stream = rawCall(session, "/user.v1.UserService/ListUsers", { ...metadata, "grpc-timeout": "10M" });
  stream.end(frame(ListUsersRequestSchema, { pageSize: PAGE_SIZE, ...request }));
  return stream;
}

/** Asks for users and reads none of them, until the server can send no more. */
async function stallListing(client: StallingClient, request: ListRequest): Promise<void> {
  await stalled(client, list(client, request));
}

/** Reads the rest of a listing, and returns the addresses of all its users. */
async function readOn(stream: ClientHttp2Stream): Promise<{ emails: string[]; trailers: Record<string, unknown> }> {
  const ended = once(stream, "trailers");
  const emails: string[] = [];
  let rest = Buffer.alloc(0);
  for await (const chunk of stream) {
    rest = Buffer.concat([rest, chunk as Buffer]);
    for (let message = firstMessage(rest); message !== undefined; message = firstMessage(rest)) {
      emails.push(fromBinary(UserSchema, message).email);
      rest = rest.subarray(FRAME_HEAD + message.length);
    }
  }
  const [trailers] = (await ended) as [Record<string, unknown>];
  return { emails, trailers };
}

/** The first message of the frames, once all of it is there. */
function firstMessage(frames: Buffer): Buffer | undefined {
  if (frames.length < FRAME_HEAD) return undefined;
  const end = FRAME_HEAD + frames.readUInt32BE(1);
  return frames.length < end ? undefined : frames.subarray(FRAME_HEAD, end);
}

/** Sends messages and reads no answer, until no more can be sent; returns how many bytes left until then. */
async function stallChat(client: StallingClient): Promise<number> {
  const stream = rawCall(client.session, "/user.v1.UserService/Chat", client.metadata);
  let sent = 0;
  const send = (): void => {
    sent += MESSAGE.length;
    if (sent < CHAT_BYTES) stream.write(MESSAGE, send);
  };
  send();
  await stalled(client, stream);
  return sent;
}

async function createUsers(port: number, count: number, name = NAME): Promise<void> {
  const [client = expect.fail("there is no client")] = await startClients(port, 1);
  const perCall = 10_000;
  for (let created = 0; created < count; created += perCall) {
    const stream = rawCall(client.session, "/user.v1.UserService/CreateUsers", client.metadata);
    const requests = newUsers(perCall, `user${created}-`, name).map((user) => frame(CreateUserRequestSchema, user));
    stream.end(Buffer.concat(requests));
    expect(await endOf(stream)).toBe("OK");
  }
}

/** Reads all users, page by page, and returns the tokens of the pages. */
async function readAllPages(port: number): Promise<string[]> {
  const [client = expect.fail("there is no client")] = await startClients(port, 1);
  const tokens: string[] = [];
  let next: string | undefined = "";
  while (next !== undefined) {
    tokens.push(next);
    const stream: ClientHttp2Stream = list(client, { pageToken: next }).resume();
    const [trailers] = (await once(stream, "trailers")) as [Record<string, string | undefined>];
    next = trailers["x-next-page-token"];
  }
  return tokens;
}

/** Reads all users in one stream, after a rest, and returns the client that did. */
async function readEverybody(port: number): Promise<readonly StallingClient[]> {
  const [client = expect.fail("there is no client")] = await startClients(port, 1);
  const stream = list(client, { streamAll: true });
  await stalled(client, stream);
  const { emails, trailers } = await readOn(stream);
  expect(emails).toHaveLength(ALL_USERS);
  expect(new Set(emails).size, "users").toBe(ALL_USERS);
  expect(trailers).toMatchObject({ "grpc-status": "0" });
  return [client];
}

function newUsers(count: number, prefix: string, name = NAME): { email: string; name: string }[] {
  return Array.from({ length: count }, (_, index) => ({ email: `${prefix}${index}@example.com`, name }));
}
