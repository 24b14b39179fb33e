/**
 * Calls every RPC of a live service, and prints what comes back in a form that is the same for every client: examples/tour.txt.
 *
 *   TOKEN=... [ADDRESS=localhost:50051] node examples/typescript/tour.ts
 *
 * TOKEN is an admin's. The users that it creates are deleted again, also when a step fails.
 */
import { createHash, randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { status } from "@grpc/grpc-js";
import { createUserClient, type UserClient } from "../../src/client/user-client.ts";
import { BadRequestSchema, ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import type { CollaborativeEditRequestSchema, DocumentSnapshot } from "../../src/gen/user/v1/collaborative_edit_pb.ts";
import { UploadFormat } from "../../src/gen/user/v1/upload_pb.ts";
import { type User, UserRoleSchema } from "../../src/gen/user/v1/user_pb.ts";
import { type ChatMessageSchema, ChatMessageType } from "../../src/gen/user/v1/user_service_pb.ts";
import { WatchEventType } from "../../src/gen/user/v1/watch_pb.ts";

/** Tells this run's e-mail addresses and rooms from those of others. */
const run = randomUUID();

class Tour {
  /** The names that ids are printed as, so that every run prints the same: those of this run's users, in order of creation. */
  readonly #labels = new Map<string, string>();
  readonly #client: UserClient;

  constructor(client: UserClient) {
    this.#client = client;
  }

  async createUser(): Promise<void> {
    const request = {
      requestId: randomUUID(),
      email: email("ada"),
      name: "Ada Lovelace",
      tags: ["mathematics"],
      metadata: { team: "engines" },
      contact: { case: "phone", value: "+442079460000" },
    } as const;
    const { user } = await this.#client.createUser({ ...request, tags: [...request.tags] });
    say(this.#describe(user));
    const again = await this.#client.createUser({ ...request, tags: [...request.tags] });
    say(`the same request_id again: ${this.#label(again.user?.id)}`);
  }

  async getUser(): Promise<void> {
    const { user } = await this.#client.getUser({ id: this.#first });
    say(this.#describe(user));
    await fails("nobody", this.#client.getUser({ id: "nobody" }));
    await fails("no id", this.#client.getUser({ id: "" }));
  }

  async createUsers(): Promise<void> {
    const users = ["Grace Hopper", "Alan Turing", "Zoë Ωmega"].map((name, index) => ({
      name,
      email: email(`user${index}`),
    }));
    const { createdCount, userIds } = await this.#client.createUsers(users);
    say(`${createdCount} users: ${this.#list(userIds)}`);
    await fails("the same e-mail addresses again", this.#client.createUsers(users));
    const headers = { "x-expected-count": "3" };
    await fails("2 users of 3", this.#client.createUsers(users.slice(0, 2), { headers }));
  }

  async batchGetUsers(): Promise<void> {
    const { users, missingIds } = await this.#client.batchGetUsers({ ids: [...this.#labels.keys(), "nobody"] });
    say(`found ${this.#list(users.map(({ id }) => id))}, missing ${missingIds.join(" ")}`);
  }

  async listUsers(): Promise<void> {
    const found: string[] = [];
    let pageToken: string | null = "";
    while (pageToken !== null) {
      let trailers = new Headers();
      const onTrailer = (received: Headers) => {
        trailers = received;
      };
      for await (const { id } of this.#client.listUsers({ pageSize: 3, pageToken }, { onTrailer })) found.push(id);
      pageToken = trailers.get("x-next-page-token");
    }
    say(`by pages: ${this.#ours(found)}`);
    const all: string[] = [];
    for await (const { id } of this.#client.listUsers({ streamAll: true })) all.push(id);
    say(`in one stream: ${this.#ours(all)}`);
  }

  async listUsersPage(): Promise<void> {
    const found: string[] = [];
    let pageToken = "";
    do {
      const page = await this.#client.listUsersPage({ pageSize: 3, pageToken });
      found.push(...page.users.map(({ id }) => id));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    say(`by pages: ${this.#ours(found)}`);
    await fails("a forged token", this.#client.listUsersPage({ pageToken: "forged" }));
  }

  async updateUser(): Promise<void> {
    const id = this.#first;
    const { etag = "" } = (await this.#client.getUser({ id })).user ?? {};
    const change = {
      user: { id, etag, profile: { bio: "Wrote the first program." } },
      updateMask: { paths: ["profile.bio"] },
    };
    const { user } = await this.#client.updateUser(change);
    say(`bio: ${user?.profile?.bio}; ${user?.etag === etag ? "the same" : "another"} etag`);
    await fails("the etag of before", this.#client.updateUser(change));
  }

  async uploadUserData(): Promise<void> {
    const emails = ["edsger", "barbara"].map(email);
    const file = Buffer.from(`email,name\n${emails.map((each) => `${each},Imported\n`).join("")}nobody,Nobody\n`);
    const sha256 = createHash("sha256").update(file).digest();
    const header = { uploadId: randomUUID(), format: UploadFormat.CSV, sizeBytes: BigInt(file.length), sha256 };
    const send = (data: Buffer) =>
      this.#client.uploadUserData([
        { part: { case: "header", value: header } },
        { part: { case: "chunk", value: { data } } },
      ]);
    await fails("a file that lacks a byte", send(file.subarray(1)));
    const report = await send(file);
    for await (const { id, email: address } of this.#client.listUsers({ streamAll: true }))
      if (emails.includes(address)) this.#label(id);
    say(`${report.rowCount} rows: ${report.createdCount} created, ${report.failedCount} failed`);
    for (const { line, field, reason } of report.failures) say(`line ${line}: ${field} ${reason}`);
    say(`the same upload_id again: ${(await send(file)).createdCount} created`);
  }

  async chat(): Promise<void> {
    const timestamp = timestampFromMs(0);
    const talk = ["hello", "goodbye"].map((message) => ({ message, timestamp }));
    for await (const answer of this.#client.chat(stream(talk))) {
      const copied = answer.timestamp?.seconds === timestamp.seconds ? "copied" : "another";
      say(`${answer.userId}: ${answer.message}, timestamp ${copied}`);
    }
    const room = `tour ${run}`;
    const messages: MessageInitShape<typeof ChatMessageSchema>[] = [
      { room, type: ChatMessageType.JOIN },
      { room, message: "is anybody here?" },
      { room, message: "only me" },
    ];
    for await (const { type, sequence, message } of this.#client.chat(stream(messages))) {
      if (type === ChatMessageType.JOINED) say("joined the room");
      if (type === ChatMessageType.TEXT) say(`#${sequence}: ${message}`);
    }
  }

  async collaborativeEdit(): Promise<void> {
    const opened = Promise.withResolvers<DocumentSnapshot>();
    const userId = this.#first;
    async function* edit(): AsyncGenerator<MessageInitShape<typeof CollaborativeEditRequestSchema>> {
      yield { request: { case: "open", value: { userId } } };
      const { revision } = await opened.promise;
      const steps = [{ step: { case: "insert", value: "✍️ " } as const }];
      yield { request: { case: "operation", value: { operationId: randomUUID(), baseRevision: revision, steps } } };
    }
    let base = 0n;
    for await (const { event } of this.#client.collaborativeEdit(edit())) {
      if (event.case === "snapshot") {
        base = event.value.revision;
        opened.resolve(event.value);
        say(`snapshot: ${event.value.text}`);
      }
      if (event.case === "operation") say(`operation: ${event.value.revision - base} revision later`);
    }
    const { user } = await this.#client.getUser({ id: userId });
    say(`bio: ${user?.profile?.bio}`);
  }

  async watchUsers(): Promise<void> {
    let id = "";
    let resumeToken = "";
    for await (const event of this.#client.watchUsers({})) {
      ({ resumeToken } = event);
      // The first event: whatever happens from now on, comes.
      if (event.type === WatchEventType.HEARTBEAT && id === "") {
        const { user } = await this.#client.createUser({
          email: email("watched"),
          name: "Watched",
          requestId: randomUUID(),
        });
        ({ id = "" } = user ?? {});
        this.#label(id);
      }
      if (event.type === WatchEventType.CREATED && event.userId === id) break;
    }
    say(`created: ${this.#label(id)}`);
    await this.#client.updateUser({ user: { id, name: "Renamed" } });
    for await (const event of this.#client.watchUsers({ resumeToken })) {
      if (event.type !== WatchEventType.UPDATED || event.userId !== id) continue;
      say(`resumed, updated: ${this.#label(id)} ${event.user?.name}`);
      break;
    }
  }

  async deleteUser(): Promise<void> {
    const first = this.#first;
    say(`${await this.cleanUp()} users`);
    await fails("again", this.#client.deleteUser({ id: first }));
  }

  /** Deletes the users of this run, and returns how many there were. */
  async cleanUp(): Promise<number> {
    const ids = [...this.#labels.keys()];
    for (const id of ids) {
      await this.#client.deleteUser({ id });
      this.#labels.delete(id);
    }
    return ids.length;
  }

  get #first(): string {
    const [id = ""] = this.#labels.keys();
    return id;
  }

  #label(id = ""): string {
    const label = this.#labels.get(id) ?? `user-${this.#labels.size + 1}`;
    this.#labels.set(id, label);
    return label;
  }

  #list(ids: readonly string[]): string {
    return ids.map((id) => this.#label(id)).join(" ");
  }

  /** Those of the ids that are this run's: the service may have other users. */
  #ours(ids: readonly string[]): string {
    return this.#list(ids.filter((id) => this.#labels.has(id)));
  }

  #describe(user: User | undefined): string {
    if (user === undefined) throw new Error("no user came back");
    const { id, email: address, name, role, tags, metadata, contact } = user;
    const roleName = UserRoleSchema.value[role]?.name;
    const person = `${this.#label(id)} ${address.replace(/\..*/, "")} "${name}" ${roleName}`;
    return `${person}, ${tags.join(" ")}, team ${metadata.team}, ${contact.case} ${contact.value}`;
  }
}

function email(name: string): string {
  return `${name}.${run}@example.com`;
}

async function* stream<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

function say(line: string): void {
  process.stdout.write(`  ${line}\n`);
}

/** Prints how a call fails, which has to: its code, its reason, and the fields that are wrong. */
async function fails(what: string, call: Promise<unknown>): Promise<void> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => ConnectError.from(reason),
  );
  if (error === undefined) throw new Error(`${what}: the call succeeded, and must not`);
  const [info] = error.findDetails(ErrorInfoSchema);
  const fields = error
    .findDetails(BadRequestSchema)
    .flatMap(({ fieldViolations }) => fieldViolations.map(({ field }) => field));
  say([`${what}: ${status[error.code]}`, info?.reason, ...fields].join(" "));
}

using client = createUserClient(process.env.ADDRESS ?? "localhost:50051", { token: process.env.TOKEN ?? "" });
const tour = new Tour(client);
try {
  for (const [name, step] of [
    ["CreateUser", tour.createUser],
    ["GetUser", tour.getUser],
    ["CreateUsers", tour.createUsers],
    ["BatchGetUsers", tour.batchGetUsers],
    ["ListUsers", tour.listUsers],
    ["ListUsersPage", tour.listUsersPage],
    ["UpdateUser", tour.updateUser],
    ["UploadUserData", tour.uploadUserData],
    ["Chat", tour.chat],
    ["CollaborativeEdit", tour.collaborativeEdit],
    ["WatchUsers", tour.watchUsers],
    ["DeleteUser", tour.deleteUser],
  ] as const) {
    process.stdout.write(`${name}\n`);
    await step.call(tour);
  }
} finally {
  await tour.cleanUp();
}
