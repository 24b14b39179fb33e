import { createHash, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampDate, timestampNow } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import type { UserClient } from "../client/user-client.ts";
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
import { defineCommand } from "./command.ts";
import { CONNECTION_EXITS, CONNECTION_OPTIONS, clientOf, explain, readConnection } from "./connection.ts";
import { printable } from "./terminal.ts";

/** What the steps share. */
interface Tour {
  readonly client: UserClient;
  /** The ids of the users that this run has created and not deleted yet, with Ada's first. */
  readonly ids: Set<string>;
  /** An e-mail address that no other run uses. */
  email(name: string): string;
  /** Shows a line. */
  say(line: string): void;
}

type ChatInit = MessageInitShape<typeof ChatMessageSchema>;

type Step = (tour: Tour) => Promise<void>;

/** One step for each RPC, in the order of the tour. */
const STEPS: Readonly<Partial<Record<keyof typeof UserService.method, Step>>> = {
  async createUser({ client, ids, email, say }) {
    const request = {
      email: email("ada"),
      name: "Ada Lovelace",
      requestId: randomUUID(),
      tags: ["mathematics"],
      metadata: { team: "engines" },
      contact: { case: "phone", value: "+442079460000" } as const,
    };
    const { user } = await client.createUser(request);
    if (user === undefined) throw new ConnectError("no user came back", Code.Internal);
    ids.add(user.id);
    say(shown(user));
    const again = await client.createUser(request);
    ids.add(again.user?.id ?? user.id);
    if (ids.size > 1) throw new ConnectError("the same request_id created another user", Code.Internal);
    say("sent again with the same request_id: the same user");
  },

  async createUsers({ client, ids, email, say }) {
    const names = ["Grace Hopper", "Alan Turing", "Zoë Ωmega"];
    const requests = names.map((name, index) => ({ name, email: email(`user${index}`), requestId: randomUUID() }));
    const send = async (batch: MessageInitShape<typeof CreateUserRequestSchema>[]): Promise<number> => {
      const { userIds, createdCount } = await client.createUsers(batch);
      for (const id of userIds) ids.add(id);
      return createdCount;
    };
    say(`${await send(requests)} users in one stream, all or none`);
    say(await failureOf(Code.AlreadyExists, send(requests.map(({ email, name }) => ({ email, name })))));
  },

  async getUser({ client, ids, say }) {
    const [id = ""] = ids;
    const { user } = await client.getUser({ id });
    if (user !== undefined) say(shown(user));
    say(await failureOf(Code.NotFound, client.getUser({ id: "nobody" })));
  },

  async batchGetUsers({ client, ids, say }) {
    const answer = await client.batchGetUsers({ ids: [...ids, "nobody"] });
    say(`${answer.users.length} users, and nobody has the id ${answer.missingIds.join()}`);
  },

  async listUsers({ client, say }) {
    for await (const user of client.listUsers({ pageSize: 3 })) say(shown(user));
    let count = 0;
    for await (const _ of client.listUsers({ streamAll: true })) count++;
    say(`${count} users in all, in one stream`);
  },

  async listUsersPage({ client, say }) {
    const first = await client.listUsersPage({ pageSize: 2 });
    for (const user of first.users) say(shown(user));
    const second = await client.listUsersPage({ pageSize: 2, pageToken: first.nextPageToken });
    say(`${second.users.length} more on the next page`);
  },

  async updateUser({ client, ids, say }) {
    const [id = ""] = ids;
    const { etag = "" } = (await client.getUser({ id })).user ?? {};
    const bio = { id, etag, profile: { bio: "Wrote the first program." } };
    const { user } = await client.updateUser({ user: bio, updateMask: { paths: ["profile.bio"] } });
    say(`bio: ${user?.profile?.bio}; etag ${etag} is now ${user?.etag}`);
    say(await failureOf(Code.Aborted, client.updateUser({ user: { ...bio, profile: { bio: "Lost update." } } })));
  },

  async uploadUserData({ client, ids, email, say }) {
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
    say(await failureOf(Code.DataLoss, send(file.subarray(1))));
    const { createdCount, failures } = await send(file);
    for await (const user of client.listUsers({ streamAll: true })) if (emails.includes(user.email)) ids.add(user.id);
    say(`${createdCount} users imported`);
    for (const { line, field, description } of failures) say(`line ${line}: ${field} ${description}`);
    const again = await send(file);
    say(`sent again with the same upload_id: ${again.createdCount} users, as before`);
  },

  async chat({ client, say }) {
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

  async collaborativeEdit({ client, ids, say }) {
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

  async watchUsers({ client, ids, email, say }) {
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

  async deleteUser({ client, ids, say }) {
    const [ada = ""] = ids;
    const count = ids.size;
    for (const id of ids) {
      await client.deleteUser({ id });
      ids.delete(id);
    }
    say(`${count} users, gone for good`);
    say(await failureOf(Code.NotFound, client.deleteUser({ id: ada })));
  },
};

/** Walks a running server through every RPC that it serves, and prints what comes back. */
export const demo = defineCommand({
  about: "The users that it creates are deleted again at the end, also when a step fails.",
  options: CONNECTION_OPTIONS,
  examples: ["user-service demo", "user-service demo --address users.example.com:443 --tls"],
  exits: CONNECTION_EXITS,
  async run(values, _operand, terminal) {
    const connection = await readConnection(values, terminal, "demo");
    const run = randomUUID().slice(0, 8);
    const say = (line: string) => void terminal.stdout.write(`${line}\n`);
    try {
      using client = clientOf(connection);
      const email = (name: string) => `${name}.${run}@example.com`;
      await walk({ client, ids: new Set(), email, say: (line) => say(`  ${printable(line)}`) }, say);
    } catch (error) {
      throw explain(error, connection);
    }
    return 0;
  },
});

async function* inRoom(room: string, messages: ChatInit[]): AsyncGenerator<ChatInit> {
  for (const message of messages) yield { ...message, room };
}

async function walk(tour: Tour, print: (line: string) => void): Promise<void> {
  try {
    for (const [name, step] of Object.entries(STEPS) as [keyof typeof UserService.method, Step][]) {
      const { name: rpc, methodKind } = UserService.method[name];
      print(`\n${rpc} (${methodKind.replaceAll("_", " ")})`);
      await step(tour);
    }
  } finally {
    // Best effort: what went wrong before says more than what goes wrong here.
    await Promise.allSettled([...tour.ids].map((id) => tour.client.deleteUser({ id })));
  }
}

function shown({ id, name, email, createdAt }: User): string {
  return `${id}  ${name} <${email}>, since ${createdAt === undefined ? "?" : timestampDate(createdAt).toISOString()}`;
}

/** Tells how a call fails that has to, with this code. */
async function failureOf(code: Code, call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => ConnectError.from(reason),
  );
  if (error === undefined) throw new ConnectError("a call succeeded that must not", Code.Internal);
  if (error.code !== code) throw error;
  return `fails: ${Code[code]}, ${error.rawMessage}`;
}
