/**
 * Walks a running server through every RPC that it serves, and prints what comes back.
 *
 *   npm run demo
 *
 * Calls ADDRESS (localhost:50051 unless told) with TOKEN, or with a token that it makes as `npm run token` does. The users that
 * it creates are deleted again at the end, also when a step fails.
 */
import { createHash, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampDate, timestampNow } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { credentials } from "@grpc/grpc-js";
import { createUserClient, type UserClient } from "../client/user-client.ts";
import { ConfigError } from "../config.ts";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import type { CollaborativeEditRequestSchema, EditStepSchema } from "../gen/user/v1/collaborative_edit_pb.ts";
import { UploadFormat } from "../gen/user/v1/upload_pb.ts";
import type { User } from "../gen/user/v1/user_pb.ts";
import {
  type ChatMessageSchema,
  ChatMessageType,
  type CreateUserRequestSchema,
  UserService,
} from "../gen/user/v1/user_service_pb.ts";
import { WatchEventType, WatchEventTypeSchema } from "../gen/user/v1/watch_pb.ts";
import { signToken } from "../interceptors/token.ts";
import { readTokenKey } from "./token-key.ts";

/** What the steps share. */
interface Tour {
  readonly client: UserClient;
  /** The ids of the users that this run has created and not deleted yet, with Ada's first. */
  readonly ids: Set<string>;
  /** An e-mail address that no other run uses. */
  email(name: string): string;
}

type ChatInit = MessageInitShape<typeof ChatMessageSchema>;

type Step = (tour: Tour) => Promise<void>;

/** One step for each RPC, in the order of the tour. */
const STEPS: Readonly<Partial<Record<keyof typeof UserService.method, Step>>> = {
  async createUser({ client, ids, email }) {
    const request = {
      email: email("ada"),
      name: "Ada Lovelace",
      requestId: randomUUID(),
      tags: ["mathematics"],
      metadata: { team: "engines" },
      contact: { case: "phone", value: "+442079460000" } as const,
    };
    const { user } = await client.createUser(request);
    if (user === undefined) throw new Error("no user came back");
    ids.add(user.id);
    show(user);
    const again = await client.createUser(request);
    ids.add(again.user?.id ?? user.id);
    if (ids.size > 1) throw new Error("the same request_id created another user");
    say("sent again with the same request_id: the same user");
  },

  async createUsers({ client, ids, email }) {
    const names = ["Grace Hopper", "Alan Turing", "Zoë Ωmega"];
    const requests = names.map((name, index) => ({ name, email: email(`user${index}`), requestId: randomUUID() }));
    const send = async (batch: MessageInitShape<typeof CreateUserRequestSchema>[]): Promise<number> => {
      const { userIds, createdCount } = await client.createUsers(batch);
      for (const id of userIds) ids.add(id);
      return createdCount;
    };
    say(`${await send(requests)} users in one stream, all or none`);
    await expectFailure(Code.AlreadyExists, send(requests.map(({ email, name }) => ({ email, name }))));
  },

  async getUser({ client, ids }) {
    const [id = ""] = ids;
    const { user } = await client.getUser({ id });
    if (user !== undefined) show(user);
    await expectFailure(Code.NotFound, client.getUser({ id: "nobody" }));
  },

  async batchGetUsers({ client, ids }) {
    const answer = await client.batchGetUsers({ ids: [...ids, "nobody"] });
    say(`${answer.users.length} users, and nobody has the id ${answer.missingIds.join()}`);
  },

  async listUsers({ client }) {
    for await (const user of client.listUsers({ pageSize: 3 })) show(user);
    let count = 0;
    for await (const _ of client.listUsers({ streamAll: true })) count++;
    say(`${count} users in all, in one stream`);
  },

  async listUsersPage({ client }) {
    const first = await client.listUsersPage({ pageSize: 2 });
    for (const user of first.users) show(user);
    const second = await client.listUsersPage({ pageSize: 2, pageToken: first.nextPageToken });
    say(`${second.users.length} more on the next page`);
  },

  async updateUser({ client, ids }) {
    const [id = ""] = ids;
    const { etag = "" } = (await client.getUser({ id })).user ?? {};
    const bio = { id, etag, profile: { bio: "Wrote the first program." } };
    const { user } = await client.updateUser({ user: bio, updateMask: { paths: ["profile.bio"] } });
    say(`bio: ${user?.profile?.bio}; etag ${etag} is now ${user?.etag}`);
    await expectFailure(Code.Aborted, client.updateUser({ user: { ...bio, profile: { bio: "Lost update." } } }));
  },

  async uploadUserData({ client, ids, email }) {
    const emails = ["edsger", "barbara"].map(email);
    const file = Buffer.from(
      `email,name,tags\n${emails.map((each) => `${each},New,imported\n`).join("")}nobody,Nobody,\n`,
    );
    const uploadId = randomUUID();
    const sha256 = createHash("sha256").update(file).digest();
    const header = { uploadId, format: UploadFormat.CSV, sizeBytes: BigInt(file.length), sha256 };
    const send = (bytes: Buffer) =>
      client.uploadUserData([
        { part: { case: "header", value: header } },
        { part: { case: "chunk", value: { data: bytes } } },
      ]);
    await expectFailure(Code.DataLoss, send(file.subarray(1)));
    const { createdCount, failures } = await send(file);
    for await (const user of client.listUsers({ streamAll: true })) if (emails.includes(user.email)) ids.add(user.id);
    say(`${createdCount} users imported`);
    for (const { line, field, description } of failures) say(`line ${line}: ${field} ${description}`);
    const again = await send(file);
    say(`sent again with the same upload_id: ${again.createdCount} users, as before`);
  },

  async chat({ client }) {
    async function* talk(): AsyncGenerator<ChatInit> {
      yield { message: "hello", timestamp: timestampNow() };
      // For the eye only, as somebody types.
      await sleep(200);
      yield { message: "goodbye", timestamp: timestampNow() };
    }
    for await (const { userId, message } of client.chat(talk())) say(`${userId}: ${message}`);

    const room = `demo ${randomUUID()}`;
    const messages = [{ type: ChatMessageType.JOIN }, { message: "is anybody here?" }, { message: "only me" }];
    for await (const { type, sequence, userId, message } of client.chat(inRoom(room, messages))) {
      if (type === ChatMessageType.TEXT) say(`#${sequence} ${userId}: ${message}`);
    }
  },

  async collaborativeEdit({ client, ids }) {
    const [userId = ""] = ids;
    const steps: MessageInitShape<typeof EditStepSchema>[] = [{ step: { case: "insert", value: "✍️ " } }];
    const operation = { operationId: randomUUID(), baseRevision: 0n, steps };
    async function* write(): AsyncGenerator<MessageInitShape<typeof CollaborativeEditRequestSchema>> {
      yield { request: { case: "open", value: { userId } } };
      yield { request: { case: "operation", value: operation } };
    }
    for await (const { event } of client.collaborativeEdit(write())) {
      if (event.case === "snapshot") say(`revision ${event.value.revision}: ${event.value.text}`);
      if (event.case === "operation") say(`revision ${event.value.revision}, by ${event.value.userId}`);
    }
    const { user } = await client.getUser({ id: userId });
    say(`bio: ${user?.profile?.bio}`);
  },

  async watchUsers({ client, ids, email }) {
    for await (const { type, userId, revision } of client.watchUsers({})) {
      // The first event: whatever happens from now on, comes.
      if (type === WatchEventType.HEARTBEAT) {
        const { user } = await client.createUser({ email: email("watched"), name: "Watched", requestId: randomUUID() });
        ids.add(user?.id ?? "");
        continue;
      }
      say(`revision ${revision}: ${userId} ${WatchEventTypeSchema.value[type]?.localName.toLowerCase()}`);
      if (ids.has(userId)) break;
    }
  },

  async deleteUser({ client, ids }) {
    const [ada = ""] = ids;
    const count = ids.size;
    for (const id of ids) {
      await client.deleteUser({ id });
      ids.delete(id);
    }
    say(`${count} users, gone for good`);
    await expectFailure(Code.NotFound, client.deleteUser({ id: ada }));
  },
};

const address = process.env.ADDRESS ?? "localhost:50051";
const run = randomUUID().slice(0, 8);
try {
  using client = createUserClient(address, { token: await readToken(), credentials: credentials.createInsecure() });
  await walk({ client, ids: new Set(), email: (name) => `${name}.${run}@example.com` });
} catch (error) {
  process.stderr.write(`\n${error instanceof ConfigError ? error.message : explain(ConnectError.from(error))}\n`);
  process.exitCode = 1;
}

async function* inRoom(room: string, messages: ChatInit[]): AsyncGenerator<ChatInit> {
  for (const message of messages) yield { ...message, room };
}

async function readToken(): Promise<string> {
  if (process.env.TOKEN) return process.env.TOKEN;
  const key = readTokenKey(process.env);
  return key === undefined ? "" : signToken(key, { id: "demo", role: "admin" }, 600);
}

async function walk(tour: Tour): Promise<void> {
  try {
    for (const [name, step] of Object.entries(STEPS) as [keyof typeof UserService.method, Step][]) {
      const { name: rpc, methodKind } = UserService.method[name];
      process.stdout.write(`\n${rpc} (${methodKind.replaceAll("_", " ")})\n`);
      await step(tour);
    }
  } finally {
    // Best effort: what went wrong before says more than what goes wrong here.
    await Promise.allSettled([...tour.ids].map((id) => tour.client.deleteUser({ id })));
  }
}

function show({ id, name, email, createdAt }: User): void {
  say(`${id}  ${name} <${email}>, since ${createdAt === undefined ? "?" : timestampDate(createdAt).toISOString()}`);
}

function say(line: string): void {
  process.stdout.write(`  ${line}\n`);
}

/** Shows how a call fails that has to, with this code. */
async function expectFailure(code: Code, call: Promise<unknown>): Promise<void> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => ConnectError.from(reason),
  );
  if (error === undefined) throw new Error("a call succeeded that must not");
  if (error.code !== code) throw error;
  say(`fails: ${Code[code]}, ${error.rawMessage}`);
}

function explain(error: ConnectError): string {
  const { code, rawMessage } = error;
  // What serves tells why it cannot.
  const serves = error.findDetails(ErrorInfoSchema).length > 0;
  if (code === Code.Unavailable && !serves) return `Nothing serves at ${address}. Start it with: npm start`;
  if (code === Code.Unauthenticated)
    return "The server wants a token: export TOKEN=..., as it printed it, or JWT_SECRET.";
  return `${Code[code]}: ${rawMessage}`;
}
