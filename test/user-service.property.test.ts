import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import type { CallOptions, Client } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { type User, UserRole, UserStatus } from "../src/gen/user/v1/user_pb.ts";
import type { UserService } from "../src/gen/user/v1/user_service_pb.ts";
import { freshDatabase } from "./support/database.ts";
import { failureOf } from "./support/errors.ts";
import { FULL } from "./support/full.ts";
import { chooseSeed, Random } from "./support/random.ts";
import { collect, servingTestServer, startTestServer, streamOf, tokenFor, userClient } from "./support/server.ts";
import {
  type Caller,
  type Contact,
  type Content,
  EVENTS,
  MAX_USERS_PER_CALL,
  type ModelUser,
  type NewUser,
  type Page,
  REASONS,
  Refusal,
  type Told,
  type Update,
  UserModel,
} from "./support/user-model.ts";

const OPERATIONS = FULL ? 20_000 : 200;
/** A full run goes on until it has seen everything, but not for ever. */
const MOST_OPERATIONS = FULL ? OPERATIONS + 8000 : OPERATIONS;
/** So many reasons and events a run may miss: a short one sees most of them. */
const MOST_UNSEEN = FULL ? 0 : 12;
/** Enough on a busy machine. */
const TIMEOUT_MS = Math.max(60_000, 150 * OPERATIONS);

describe("UpdateUser", () => {
  it("names everything that is wrong with the mask and with what it names, at once", async () => {
    const client = userClient(await startTestServer(), { id: "root", role: "admin" });
    const { user } = await client.createUser({ email: "ada@example.com", name: "Ada" });
    const update = (wanted: Partial<Pick<User, "email">>, ...paths: string[]) =>
      failureOf(client.updateUser({ user: { id: user?.id ?? "", ...wanted }, updateMask: { paths } }));

    expect.soft(await update({}, "role", "status")).toMatchObject({
      violations: ["user.role: VALUE_UNSPECIFIED", "user.status: VALUE_UNSPECIFIED"],
    });
    expect.soft(await update({ email: "no address" }, "email", "name")).toMatchObject({
      violations: ["user.email: EMAIL_INVALID", "user.name: NAME_BLANK"],
    });
    expect
      .soft(new Set((await update({ email: "no address" }, "email", "role")).violations))
      .toEqual(new Set(["user.email: EMAIL_INVALID", "user.role: VALUE_UNSPECIFIED"]));
  });
});

describe("UserService", () => {
  it("answers as the model does, in memory and on PostgreSQL, whatever is asked in whatever order", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const seed = chooseSeed();
    const environment = { MAX_USERS_PER_CALL: String(MAX_USERS_PER_CALL) };
    const DATABASE_URL = await freshDatabase();
    const inMemory = await startTestServer({ environment });
    const onPostgres = await servingTestServer({ environment: { ...environment, DATABASE_URL } });
    const run = new Run(new Random(seed), [
      new Service("in memory", userClient(inMemory, null)),
      new Service("on PostgreSQL", userClient(onPostgres, null)),
    ]);

    for (let count = 0; count < OPERATIONS || (run.unseen.length > 0 && count < MOST_OPERATIONS); count++) {
      await run.step(`SEED=${seed}, operation ${count}`);
    }
    await run.compare(run.streamAll({ id: "root", role: "admin" }, ""), `SEED=${seed}, in the end`);
    const { unseen } = run;
    const context = `SEED=${seed}, what has never happened: ${unseen}`;
    expect(
      KINDS.filter((kind) => unseen.includes(kind)),
      context,
    ).toEqual([]);
    expect(unseen.length, context).toBeLessThanOrEqual(MOST_UNSEEN);
  });
});

/** One call, to be put to the model and to the services. */
interface Operation {
  readonly kind: Kind;
  readonly caller: Caller;
  /** The request, for whoever looks into a failure. */
  readonly asked: unknown;
  /** What the model answers. */
  readonly model: () => unknown;
  /** What a service answers, in the model's names. `expected` is the answer of the model, if it does not refuse. */
  readonly ask: (service: Service, options: CallOptions, expected: unknown) => Promise<unknown>;
}

/** How often each kind of operation comes, in relation to the others. */
const WEIGHTS = {
  createUser: 16,
  createUsers: 20,
  getUser: 8,
  batchGetUsers: 8,
  listUsers: 8,
  listUsersPage: 8,
  streamAll: 4,
  updateUser: 26,
  deleteUser: 12,
} as const;

type Kind = keyof typeof WEIGHTS;

const KINDS = Object.keys(WEIGHTS) as [Kind, ...Kind[]];

/** The spellings of each e-mail address. So few addresses that many collide. */
const ADDRESSES: readonly (readonly [string, ...string[]])[] = [
  ["zoë@bücher.example", "ZOE\u0308@xn--bcher-kva.example", " Zoë@BÜCHER.example"],
  ...Array.from({ length: 19 }, (_, index): [string, string] => [
    `person${index}@example.com`,
    ` Person${index}@EXAMPLE.com\t`,
  ]),
];

/** The spellings of each username. */
const USERNAMES = Array.from({ length: 12 }, (_, index) => [`handle.${index}`, `Handle.${index}`] as const);

/** The first spelling of what has several. */
const FIRST_SPELLINGS = new Map(
  [...ADDRESSES, ...USERNAMES].flatMap((spellings) => spellings.map((spelling) => [spelling, spellings[0]])),
);

const NOTHING: Content = {
  email: "",
  name: "",
  username: "",
  age: undefined,
  role: UserRole.UNSPECIFIED,
  status: UserStatus.UNSPECIFIED,
  tags: [],
  metadata: {},
  contact: { case: undefined },
  profile: undefined,
};

/** What makes any request wrong that holds it. */
const BAD_SHAPES: readonly [Partial<Content>, ...Partial<Content>[]] = [
  { name: "x".repeat(513), username: "-dash", age: -1 },
  { age: 151, tags: ["twice", "once", "twice"], contact: { case: "phone", value: "0123456789" } },
  { name: "é".repeat(257), contact: { case: "slackId", value: "X123" } },
];

/** What makes a user wrong, though nothing is wrong with its form. */
const BAD_MEANINGS: readonly [Partial<Content>, ...Partial<Content>[]] = [
  { email: "no address" },
  { name: " \u00a0" },
  { name: "two\nlines" },
  { email: "no address", name: "\t" },
];

const PATHS = [
  "email",
  "name",
  "username",
  "age",
  "role",
  "status",
  "tags",
  "metadata",
  "phone",
  "slack_id",
  "profile",
  "profile.bio",
  "profile.avatar_url",
] as const;

const BAD_PATHS = ["id", "created_at", "updated_at", "etag", "nickname", "profile.nickname", "contact", "", "slackId"];

/** Random operations, the model, and the services that are to answer as it does. */
class Run {
  readonly #random: Random;
  readonly #services: readonly Service[];
  readonly #model = new UserModel((spelling) => FIRST_SPELLINGS.get(spelling) ?? spelling);
  readonly #seen = new Set<string>();
  /** Latest request ids, tokens, and creations with a request id: to be used again. */
  readonly #requestIds: string[] = [];
  readonly #tokens: string[] = [];
  readonly #sent: { readonly caller: Caller; readonly user: NewUser }[] = [];

  constructor(random: Random, services: readonly Service[]) {
    this.#random = random;
    this.#services = services;
  }

  /** What the model knows and this run has not seen yet. */
  get unseen(): string[] {
    return [...KINDS, ...REASONS, ...EVENTS].filter(
      (one) => !this.#seen.has(one) && !this.#model.events.has(one as (typeof EVENTS)[number]),
    );
  }

  async step(context: string): Promise<void> {
    await this.compare(this.#operation(), context);
  }

  /** Puts an operation to the model and to the services, and compares what they say. */
  async compare({ kind, caller, asked, model, ask }: Operation, context: string): Promise<void> {
    const latest = this.#model.versions;
    const { refusal, answer } = attempt(model);
    const versions = Array.from(
      { length: this.#model.versions - latest },
      (_, index) => `version ${latest + 1 + index}`,
    );
    const outcomes = this.#services.map((service) => {
      const call = (options: CallOptions) => ask(service, options, answer);
      return service.outcomeOf(call, { caller, refused: refusal !== undefined, versions });
    });
    const who = caller ? `${caller.role} ${caller.id}` : "nobody";
    const where = `${context}: ${who} asks ${kind} ${JSON.stringify(asked)}`;
    const words = new Set<string | undefined>();
    for (const [index, { message, ...outcome }] of (await Promise.all(outcomes)).entries()) {
      expect(outcome, `${where} ${this.#services[index]?.name}`).toEqual(
        refusal === undefined ? { answer } : { refusal: toSets(refusal) },
      );
      words.add(message);
    }
    expect([...words], `${where}: all refuse it in the same words`).toHaveLength(1);
    for (const seen of refusal === undefined ? [kind] : reasonsOf(refusal)) this.#seen.add(seen);
  }

  streamAll(caller: Caller, token: string): Operation {
    return {
      kind: "streamAll",
      caller,
      asked: { token },
      model: () => this.#model.streamAll(caller, token),
      ask: async (service, options, expected) => {
        const request = { pageToken: service.names.valueOf(token), pageSize: 1, streamAll: true };
        const users = await collect(service.client.listUsers(request, options));
        return service.users(users, expected as ModelUser[]);
      },
    };
  }

  #operation(): Operation {
    let draw = this.#random.next() * Object.values(WEIGHTS).reduce((sum, weight) => sum + weight, 0);
    for (const kind of KINDS) {
      draw -= WEIGHTS[kind];
      if (draw < 0) return this.#make(kind);
    }
    return this.#make("getUser");
  }

  #make(kind: Kind): Operation {
    switch (kind) {
      case "createUser":
        return this.#createUser();
      case "createUsers":
        return this.#createUsers();
      case "getUser":
        return this.#getUser();
      case "batchGetUsers":
        return this.#batchGetUsers();
      case "listUsers":
        return this.#listUsers();
      case "listUsersPage":
        return this.#listUsersPage();
      case "streamAll":
        return this.streamAll(this.#privileged(), this.#token());
      case "updateUser":
        return this.#updateUser();
      case "deleteUser":
        return this.#deleteUser();
    }
  }

  #getUser(): Operation {
    const [caller, id] = [this.#anybody(), this.#id()];
    return {
      kind: "getUser",
      caller,
      asked: { id },
      model: () => this.#model.getUser(caller, id),
      ask: async (service, options, expected) => {
        const { user } = await service.client.getUser({ id: service.names.valueOf(id) }, options);
        return service.user(user, expected as ModelUser);
      },
    };
  }

  #batchGetUsers(): Operation {
    const caller = this.#anybody();
    const ids = this.#several(0, 6, () => this.#id());
    return {
      kind: "batchGetUsers",
      caller,
      asked: { ids },
      model: () => this.#model.batchGetUsers(caller, ids),
      ask: async (service, options, expected) => {
        const request = { ids: ids.map((id) => service.names.valueOf(id)) };
        const { users, missingIds } = await service.client.batchGetUsers(request, options);
        return {
          users: service.users(users, (expected as { users: ModelUser[] } | undefined)?.users),
          missingIds: missingIds.map((id) => service.names.nameOf(id)),
        };
      },
    };
  }

  #listUsers(): Operation {
    const [caller, size, token] = [this.#privileged(), this.#pageSize(), this.#token()];
    return {
      kind: "listUsers",
      caller,
      asked: { size, token },
      model: () => this.#keepToken(this.#model.listUsers(caller, size, token)),
      ask: async (service, options, expected) => {
        let next = "";
        const onTrailer = (trailer: Headers) => {
          next = trailer.get("x-next-page-token") ?? "";
        };
        const request = { pageSize: size, pageToken: service.names.valueOf(token) };
        const users = await collect(service.client.listUsers(request, { ...options, onTrailer }));
        return service.page(users, next, expected);
      },
    };
  }

  #listUsersPage(): Operation {
    const [caller, size, token] = [this.#privileged(), this.#pageSize(), this.#token()];
    return {
      kind: "listUsersPage",
      caller,
      asked: { size, token },
      model: () => this.#keepToken(this.#model.listUsers(caller, size, token)),
      ask: async (service, options, expected) => {
        const request = { pageSize: size, pageToken: service.names.valueOf(token) };
        const { users, nextPageToken } = await service.client.listUsersPage(request, options);
        return service.page(users, nextPageToken, expected);
      },
    };
  }

  #createUser(): Operation {
    let caller = this.#privileged();
    let user = this.#newUser();
    const sent = this.#anyOf(this.#sent);
    const draw = this.#random.next();
    if (sent !== undefined && draw < 0.15) ({ caller, user } = sent);
    else if (sent !== undefined && draw < 0.35) {
      const another = sent.caller === ADMIN ? SERVICE : ADMIN;
      [caller, user] = [another, { ...user, requestId: sent.user.requestId, role: UserRole.USER }];
    }
    this.#remember(caller, user);
    if (draw >= 0.35 && this.#chance(0.25)) [caller, user] = [ADMIN, this.#spoilt(user)];
    return {
      kind: "createUser",
      caller,
      asked: user,
      model: () => this.#model.createUser(caller, user),
      ask: async (service, options, expected) => {
        const { user: created } = await service.client.createUser(toCreation(user), options);
        return service.user(created, expected as ModelUser);
      },
    };
  }

  #createUsers(): Operation {
    let caller = this.#privileged();
    let users = this.#several(1, 3, () => this.#newUser());
    if (this.#chance(0.3)) {
      const [again = { caller, user: users[0] as NewUser }] = [this.#anyOf(this.#sent)];
      caller = again.caller;
      users.splice(this.#random.between(0, users.length), 0, again.user);
    }
    if (this.#chance(0.4)) users.push(this.#anyOf(repeatable(users)) ?? this.#newUser());
    let expectedCount = this.#chance(0.5) ? users.length : undefined;
    for (const user of users) this.#remember(caller, user);
    // One fault at most: of several in one stream, it is not told which is noticed first.
    if (this.#chance(0.3)) {
      caller = ADMIN;
      const fault = this.#random.pick(["spoilt", "empty", "too many", "count"]);
      if (fault === "spoilt") users = users.with(-1, this.#spoilt(this.#newUser()));
      if (fault === "empty") users = [];
      if (fault === "too many") users.push(...this.#several(MAX_USERS_PER_CALL, 8, () => this.#newUser()));
      expectedCount = fault === "count" ? users.length + this.#random.pick([-1, 1]) : undefined;
    }
    return {
      kind: "createUsers",
      caller,
      asked: { users, expectedCount },
      model: () => this.#model.createUsers(caller, users, expectedCount),
      ask: async (service, { headers }, expected) => {
        const count = expectedCount === undefined ? {} : { "x-expected-count": String(expectedCount) };
        const options = { headers: { ...(headers as Record<string, string>), ...count } };
        const { userIds, createdCount } = await service.client.createUsers(streamOf(...users.map(toCreation)), options);
        const names = userIds.map((id, index) => service.names.nameOf(id, (expected as string[] | undefined)?.[index]));
        return createdCount === userIds.length ? names : { createdCount };
      },
    };
  }

  #updateUser(): Operation {
    const { caller, update } = this.#chance(0.4) ? this.#badUpdate() : this.#goodUpdate();
    return {
      kind: "updateUser",
      caller,
      asked: update,
      model: () => this.#model.updateUser(caller, update),
      ask: async (service, options, expected) => {
        const { user: wanted, mask } = update;
        const user = wanted && {
          ...toInit(wanted),
          id: service.names.valueOf(wanted.id),
          etag: service.names.valueOf(wanted.etag),
        };
        const request = { updateMask: { paths: [...mask] }, ...(user && { user }) };
        const { user: updated } = await service.client.updateUser(request, options);
        return service.user(updated, expected as ModelUser);
      },
    };
  }

  #deleteUser(): Operation {
    const id = this.#id();
    const [caller, etag] = [this.#concerned(id), this.#etag(id)];
    return {
      kind: "deleteUser",
      caller,
      asked: { id, etag },
      model: () => this.#model.deleteUser(caller, id, etag),
      ask: async (service, options) => {
        const request = { id: service.names.valueOf(id), etag: service.names.valueOf(etag) };
        return (await service.client.deleteUser(request, options)).success;
      },
    };
  }

  /** An update in whose message nothing is wrong. */
  #goodUpdate(): { caller: Caller; update: Update } {
    const id = this.#id();
    const mask = this.#mask();
    const whole = this.#content();
    const sparse = { ...NOTHING };
    for (const field of Object.keys(NOTHING) as (keyof Content)[]) {
      const required =
        (field === "email" || field === "name" || field === "role" || field === "status") && mask.includes(field);
      if (required || this.#chance(0.3)) Object.assign(sparse, { [field]: whole[field] });
    }
    if (mask.includes("role")) sparse.role ||= UserRole.USER;
    if (mask.includes("status")) sparse.status ||= UserStatus.ACTIVE;
    const current = this.#model.users.find((user) => user.id === id);
    const same = current !== undefined && this.#chance(0.1);
    const content = same ? current : mask[0] === "*" ? whole : sparse;
    return { caller: this.#concerned(id), update: { user: { ...content, id, etag: this.#etag(id) }, mask } };
  }

  /** An update in whose message one thing is wrong, and nothing else. */
  #badUpdate(): { caller: Caller; update: Update } {
    const nobody = { caller: ADMIN, update: { user: undefined, mask: ["name"] } };
    const id = this.#anyOf(this.#model.users)?.id;
    if (id === undefined) return nobody;
    const user = { ...this.#content(), id, etag: "" };
    switch (this.#random.pick(["shape", "shape", "meaning", "meaning", "path", "value", "id", "user"] as const)) {
      case "shape":
        return { caller: ADMIN, update: { user: { ...user, ...this.#random.pick(BAD_SHAPES) }, mask: this.#mask() } };
      case "meaning": {
        const meaning = this.#random.pick(BAD_MEANINGS);
        const mask = this.#random.pick([Object.keys(meaning), ["*"], []]);
        return { caller: ADMIN, update: { user: { ...user, ...meaning }, mask } };
      }
      case "path": {
        const mask = [...this.#mask(), this.#anyOf(BAD_PATHS) ?? "id", ...this.#random.pick([[], ["*"]])];
        return { caller: ADMIN, update: { user: { ...user, role: UserRole.USER, status: UserStatus.ACTIVE }, mask } };
      }
      case "value": {
        const path = this.#random.pick(["role", "status"]);
        return { caller: ADMIN, update: { user: { ...user, [path]: 0 }, mask: ["name", path] } };
      }
      case "id":
        return { caller: ADMIN, update: { user: { ...user, id: "" }, mask: [] } };
      case "user":
        return nobody;
    }
  }

  #mask(): string[] {
    if (this.#chance(0.25)) return [];
    if (this.#chance(0.2)) return ["*"];
    return this.#several(1, 4, () => this.#random.pick(PATHS));
  }

  #newUser(): NewUser {
    return { ...this.#content(), requestId: this.#requestId() };
  }

  /** A creation in which something is wrong, and nothing that only an admin may do. */
  #spoilt(user: NewUser): NewUser {
    const flaw = this.#random.pick<Partial<NewUser>>([
      this.#random.pick(BAD_SHAPES),
      this.#random.pick(BAD_MEANINGS),
      this.#random.pick(BAD_MEANINGS),
      { email: "", name: "", requestId: "no uuid" },
    ]);
    return { ...user, ...flaw };
  }

  #content(): Content {
    return {
      email: this.#random.pick(this.#chance(0.8) ? this.#freeAddress() : this.#address()),
      name: this.#random.pick(["Ada", "  Bob ", "Zoë 👩‍🚀", "x".repeat(512)]),
      username: this.#chance(0.6) ? "" : this.#random.pick(this.#anyOf(USERNAMES) ?? [""]),
      age: this.#random.pick([undefined, 0, 36, 150]),
      role: this.#random.pick([UserRole.UNSPECIFIED, UserRole.UNSPECIFIED, UserRole.USER, UserRole.ADMIN]),
      status: this.#chance(0.2)
        ? UserStatus.SUSPENDED
        : this.#random.pick([UserStatus.UNSPECIFIED, UserStatus.UNSPECIFIED, UserStatus.ACTIVE]),
      tags: this.#random.pick([[], ["one"], ["two", "one"]]),
      metadata: this.#random.pick<Record<string, string>>([{}, { a: "1" }, { b: "", a: "2", "10": "x", "9": "y" }]),
      contact: this.#random.pick<Contact>([
        { case: undefined },
        { case: "phone", value: "+441234567" },
        { case: "slackId", value: "U0ADA" },
      ]),
      profile: this.#random.pick<Content["profile"]>([
        undefined,
        { bio: "", avatarUrl: "" },
        { bio: "Poetical\nscience", avatarUrl: "" },
        { bio: "", avatarUrl: "https://example.com/a.png" },
        { bio: "Engines", avatarUrl: "https://example.com/b.png" },
      ]),
    };
  }

  #address(): readonly [string, ...string[]] {
    return this.#anyOf(ADDRESSES) ?? ["nobody@example.com"];
  }

  #freeAddress(): readonly [string, ...string[]] {
    const taken = new Set(this.#model.users.map(({ email }) => email));
    const free = ADDRESSES.filter((spellings) => spellings.every((spelling) => !taken.has(spelling)));
    return this.#anyOf(free) ?? this.#address();
  }

  #requestId(): string {
    if (this.#chance(0.5)) return "";
    const known = this.#chance(0.5) ? this.#anyOf(this.#requestIds) : undefined;
    if (known !== undefined) return this.#chance(0.2) ? known.toUpperCase() : known;
    const digits = (count: number) =>
      this.#several(count, count, () => this.#random.between(0, 15).toString(16)).join("");
    const id = [8, 4, 4, 4, 12].map(digits).join("-");
    keepLatest(this.#requestIds, id, 5);
    return id;
  }

  /** Keeps what may be sent again. What is spoilt is not: it would be another fault where one is enough. */
  #remember(caller: Caller, user: NewUser): void {
    if (user.requestId !== "") keepLatest(this.#sent, { caller, user }, 10);
  }

  /** Mostly the id of somebody. */
  #id(): string {
    const somebody = this.#chance(0.85) ? this.#anyOf(this.#model.users)?.id : undefined;
    if (somebody !== undefined) return somebody;
    if (this.#chance(0.15)) return "";
    return this.#chance(0.3) ? "no such id" : `user ${this.#random.between(1, this.#model.created + 1)}`;
  }

  /** Mostly one that lets the call pass. The etag of a state is known only if the service has told it. */
  #etag(id: string): string {
    if (this.#chance(0.5)) return "";
    const current = this.#model.users.find((user) => user.id === id)?.etag ?? "no etag";
    const another = `version ${this.#random.between(1, this.#model.versions + 1)}`;
    const etag = this.#random.pick([current, current, another, "no etag"]);
    return etag === "no etag" || this.#services.every(({ names }) => names.isBound(etag)) ? etag : "";
  }

  #token(): string {
    if (this.#chance(0.4)) return "";
    return this.#chance(0.2) ? "forged" : (this.#anyOf(this.#tokens) ?? "");
  }

  #pageSize(): number {
    return this.#random.pick([0, 1, 2, 3, 5, 8, 2_000_000_000, -1]);
  }

  #anybody(): Caller {
    if (this.#chance(0.1)) return undefined;
    const user = { id: this.#id() || "somebody", role: "user" } as const;
    return this.#random.pick<Caller>([ADMIN, SERVICE, user, user]);
  }

  /** Mostly somebody whom the policies of listing and creating admit. */
  #privileged(): Caller {
    return this.#chance(0.15) ? this.#anybody() : this.#random.pick([ADMIN, ADMIN, SERVICE]);
  }

  /** Mostly somebody who may change the user with this id. */
  #concerned(id: string): Caller {
    if (this.#chance(0.15)) return this.#anybody();
    return this.#random.pick<Caller>([ADMIN, { id: id || "somebody", role: "user" }]);
  }

  #keepToken(page: Page): Page {
    if (page.next !== "") keepLatest(this.#tokens, page.next, 8);
    return page;
  }

  #chance(probability: number): boolean {
    return this.#random.next() < probability;
  }

  #anyOf<T>(items: readonly T[]): T | undefined {
    return items[this.#random.between(0, items.length - 1)];
  }

  #several<T>(min: number, max: number, make: () => T): T[] {
    return Array.from({ length: this.#random.between(min, max) }, make);
  }
}

/** How a service answers a call, or with what and in which words it refuses it. */
interface Outcome {
  readonly answer?: unknown;
  readonly refusal?: unknown;
  readonly message?: string;
}

/** A service, in the names of the model. */
class Service {
  readonly name: string;
  readonly client: Client<typeof UserService>;
  readonly names = new Names();

  constructor(name: string, client: Client<typeof UserService>) {
    this.name = name;
    this.client = client;
  }

  /** What a call is answered with, or refused if it must be. These versions of users are made by it. */
  async outcomeOf(
    call: (options: CallOptions) => Promise<unknown>,
    { caller, refused, versions }: { caller: Caller; refused: boolean; versions: readonly string[] },
  ): Promise<Outcome> {
    const token = caller && (await tokenFor({ id: this.names.valueOf(caller.id), role: caller.role }));
    const start = Date.now();
    this.names.limit(versions, start, Number.POSITIVE_INFINITY);
    const answer = call(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });
    const outcome = refused ? await this.#refusal(answer) : { answer: await answer.catch(thrown) };
    this.names.limit(versions, start, Date.now());
    return outcome;
  }

  page(users: readonly User[], token: string, expected: unknown): unknown {
    const page = expected as Page | undefined;
    const next = token === "" ? "" : page?.next || "an unexpected token";
    if (next !== "") this.names.rebind(next, token);
    return { users: this.users(users, page?.users), next };
  }

  users(users: readonly User[], expected: readonly ModelUser[] | undefined): unknown[] {
    return users.map((user, index) => this.user(user, expected?.[index]));
  }

  user(message: User | undefined, expected: ModelUser | undefined): ModelUser | undefined {
    if (message === undefined) return undefined;
    const { email, name, username, age, role, status, tags, metadata, contact, profile } = message;
    return {
      id: this.names.nameOf(message.id, expected?.id),
      etag: this.names.nameOf(message.etag, expected?.etag),
      createdAt: this.names.timeOf(message.createdAt, expected?.createdAt),
      updatedAt: this.names.timeOf(message.updatedAt, expected?.updatedAt),
      email,
      name,
      username,
      age,
      role,
      status,
      tags,
      metadata,
      contact: contact.case === undefined ? { case: undefined } : { case: contact.case, value: contact.value },
      profile: profile && { bio: profile.bio, avatarUrl: profile.avatarUrl },
    };
  }

  async #refusal(call: Promise<unknown>): Promise<Outcome> {
    const { message, resource, ...told } = await failureOf(call);
    const [type = "", name = ""] = resource?.split("/", 2) ?? [];
    return { refusal: toSets({ ...told, resource: resource && `${type}/${this.names.nameOf(name)}` }), message };
  }
}

const ADMIN: Caller = { id: "root", role: "admin" };
const SERVICE: Caller = { id: "importer", role: "service" };

/** Which values of a service the model's names stand for. */
class Names {
  readonly #values = new Map<string, string>();
  readonly #names = new Map<string, string>();
  readonly #times = new Map<string, number>();
  readonly #limits = new Map<string, readonly [start: number, end: number]>();
  #latestId = "";

  isBound(name: string): boolean {
    return this.#values.has(name);
  }

  /** The value that a name stands for; for what is no name, itself. */
  valueOf(name: string): string {
    return this.#values.get(name) ?? name;
  }

  /** The name of a value. A value never seen before gets the expected name, if that stands for nothing else yet. */
  nameOf(value: string, expected?: string): string {
    const known = this.#names.get(value);
    if (known !== undefined) return known;
    if (expected === undefined || expected === "" || this.isBound(expected)) return value;
    if (expected.startsWith("user ")) {
      if (value <= this.#latestId) return `${value}, which is not greater than ${this.#latestId}`;
      this.#latestId = value;
    }
    this.#values.set(expected, value);
    this.#names.set(value, expected);
    return expected;
  }

  /** Lets a name stand for its latest value: nobody promises that page tokens stay the same. */
  rebind(name: string, value: string): void {
    this.#values.set(name, value);
  }

  /** States when these versions were made, in milliseconds. */
  limit(versions: readonly string[], start: number, end: number): void {
    for (const version of versions) this.#limits.set(version, [start, end]);
  }

  /** The version that was made at this time, if it is the expected one, and was really made then. */
  timeOf(timestamp: Timestamp | undefined, expected = ""): string {
    const ms = timestamp === undefined ? Number.NaN : timestampMs(timestamp);
    const [start = ms, end = ms] = this.#limits.get(expected) ?? [];
    if (!(start <= ms && ms <= end)) return `${ms} ms, when ${expected} was not made`;
    if (!this.#times.has(expected)) this.#times.set(expected, ms);
    return this.#times.get(expected) === ms ? expected : `${ms} ms, not ${this.#times.get(expected)} ms`;
  }
}

function attempt(answer: () => unknown): { answer?: unknown; refusal?: Told } {
  try {
    return { answer: answer() };
  } catch (error) {
    if (error instanceof Refusal) return { refusal: error.told };
    throw error;
  }
}

/** Shows a failure where an answer is expected. */
function thrown(error: unknown): unknown {
  return String(error);
}

/** The violations come in no particular order. */
function toSets({ violations, ...told }: Told): unknown {
  return { ...told, violations: new Set(violations) };
}

function reasonsOf({ reason, violations }: Told): string[] {
  return [reason ?? "", ...violations.map((violation) => violation.slice(violation.lastIndexOf(" ") + 1))];
}

/** The content as the client takes it. */
function toInit({ email, name, username, age, role, status, tags, metadata, contact, profile }: Content) {
  return { email, name, username, age, role, status, tags: [...tags], metadata, contact, profile };
}

function toCreation(user: NewUser) {
  return { ...toInit(user), requestId: user.requestId };
}

function repeatable(users: readonly NewUser[]): NewUser[] {
  return users.filter(({ requestId }) => requestId !== "");
}

function keepLatest<T>(items: T[], item: T, count: number): void {
  items.push(item);
  if (items.length > count) items.shift();
}
