/**
 * Walks a running server through every RPC that it serves, and prints what comes back.
 *
 *   npm run demo
 *
 * Calls ADDRESS (localhost:50051 unless told) with TOKEN, or with a token made with JWT_SECRET. The users that it creates are
 * deleted again at the end.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampDate, timestampNow } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { createUserClient, type UserClient } from "../client/user-client.ts";
import type { User } from "../gen/user/v1/user_pb.ts";
import { type ChatMessageSchema, UserService } from "../gen/user/v1/user_service_pb.ts";
import { signToken } from "../interceptors/token.ts";

/** What the steps share. */
interface Tour {
  readonly client: UserClient;
  /** The users that this run has created, with Ada first. */
  readonly users: User[];
  /** An e-mail address that no other run uses. */
  email(name: string): string;
}

type Step = (tour: Tour) => Promise<void>;

/** One step for each RPC, in the order of the tour. */
const STEPS: Readonly<Record<keyof typeof UserService.method, Step>> = {
  async createUser({ client, users, email }) {
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
    users.push(user);
    show(user);
    const again = await client.createUser(request);
    say(`sent again with the same request_id: ${again.user?.id === user.id ? "the same user" : "another user!"}`);
  },

  async createUsers({ client, users, email }) {
    const names = ["Grace Hopper", "Alan Turing", "Zoë Ωmega"];
    const requests = names.map((name, index) => ({ name, email: email(`user${index}`), requestId: randomUUID() }));
    const { userIds, createdCount } = await client.createUsers(requests);
    for (const id of userIds) {
      const { user } = await client.getUser({ id });
      if (user !== undefined) users.push(user);
    }
    say(`${createdCount} users in one stream, all or none`);
    await expectFailure(client.createUsers(requests.map(({ email, name }) => ({ email, name }))));
  },

  async getUser({ client, users }) {
    const { user } = await client.getUser({ id: users[0]?.id ?? "" });
    if (user !== undefined) show(user);
    await expectFailure(client.getUser({ id: "nobody" }));
  },

  async batchGetUsers({ client, users }) {
    const answer = await client.batchGetUsers({ ids: [...users.map(({ id }) => id), "nobody"] });
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

  async updateUser({ client, users }) {
    const [{ id = "", etag = "" } = {}] = users;
    const bio = { id, etag, profile: { bio: "Wrote the first program." } };
    const { user } = await client.updateUser({ user: bio, updateMask: { paths: ["profile.bio"] } });
    say(`bio: ${user?.profile?.bio}; etag ${etag} is now ${user?.etag}`);
    await expectFailure(client.updateUser({ user: { ...bio, profile: { bio: "Lost update." } } }));
  },

  async chat({ client }) {
    async function* talk(): AsyncGenerator<MessageInitShape<typeof ChatMessageSchema>> {
      yield { message: "hello", timestamp: timestampNow() };
      // For the eye only, as somebody types.
      await sleep(200);
      yield { message: "goodbye", timestamp: timestampNow() };
    }
    for await (const { userId, message } of client.chat(talk())) say(`${userId}: ${message}`);
  },

  async deleteUser({ client, users }) {
    for (const { id } of users) await client.deleteUser({ id });
    say(`${users.length} users, gone for good`);
    await expectFailure(client.deleteUser({ id: users[0]?.id ?? "" }));
  },
};

const address = process.env.ADDRESS ?? "localhost:50051";
const run = randomUUID().slice(0, 8);
const client = createUserClient(address, { token: await readToken() });
try {
  const tour: Tour = { client, users: [], email: (name) => `${name}.${run}@example.com` };
  for (const [name, step] of Object.entries(STEPS) as [keyof typeof UserService.method, Step][]) {
    const { name: rpc, methodKind } = UserService.method[name];
    process.stdout.write(`\n${rpc} (${methodKind.replaceAll("_", " ")})\n`);
    await step(tour);
  }
} catch (error) {
  process.stderr.write(`\n${explain(ConnectError.from(error))}\n`);
  process.exitCode = 1;
} finally {
  client.close();
}

async function readToken(): Promise<string> {
  const { TOKEN, JWT_SECRET, JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = process.env;
  if (TOKEN || !JWT_SECRET) return TOKEN ?? "";
  return signToken({ secret: Buffer.from(JWT_SECRET), issuer, audience }, { id: "demo", role: "admin" }, 600);
}

function show({ id, name, email, createdAt }: User): void {
  say(`${id}  ${name} <${email}>, since ${createdAt === undefined ? "?" : timestampDate(createdAt).toISOString()}`);
}

function say(line: string): void {
  process.stdout.write(`  ${line}\n`);
}

/** Shows how a call fails that has to. */
async function expectFailure(call: Promise<unknown>): Promise<void> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => ConnectError.from(reason),
  );
  if (error === undefined) throw new Error("a call succeeded that must not");
  if (error.code === Code.Unavailable || error.code === Code.Unauthenticated) throw error;
  say(`fails: ${Code[error.code]}, ${error.rawMessage}`);
}

function explain({ code, rawMessage }: ConnectError): string {
  if (code === Code.Unavailable) return `Nothing serves at ${address}. Start it with: npm start`;
  if (code === Code.Unauthenticated)
    return "The server wants a token: export TOKEN=..., as it printed it, or JWT_SECRET.";
  return `${Code[code]}: ${rawMessage}`;
}
