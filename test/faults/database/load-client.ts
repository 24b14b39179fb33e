import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { type CallOptions, type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { UserService } from "../../../src/gen/user/v1/user_service_pb.ts";
import type { Random } from "../../support/random.ts";
import { ADMIN, streamOf, tokenFor } from "../../support/server.ts";
import { type CallEnd, endOf, OK, UNAVAILABLE } from "./call-end.ts";
import { PERSONAL } from "./service.ts";

/** A call that has ended. */
export interface EndedCall {
  readonly method: string;
  readonly end: CallEnd;
  /** When it began, by the clock of `performance`. */
  readonly beganAt: number;
  readonly durationMs: number;
  readonly timeoutMs: number;
}

/** Requests that one call has sent, and how it ended. */
export interface Creation {
  readonly requests: readonly NewUser[];
  readonly end: CallEnd;
}

interface NewUser {
  readonly email: string;
  readonly name: string;
  readonly requestId: string;
}

/** What a client does not decide by itself. */
export interface Habits {
  readonly random: Random;
  /** How long a call may take that begins now. */
  readonly timeoutMs: number;
}

/** How long a client rests after a failure, so that a service that refuses everything at once is not all that runs. */
const REST_MS = 20;
const MAX_BATCH = 20;

/** A client that makes one call after the other, on a connection of its own. */
export class LoadClient {
  readonly calls: EndedCall[] = [];
  readonly creations: Creation[] = [];
  /** A user whom nobody else changes, and the names that it may have, by what this client has been told. */
  own: { readonly id: string; readonly names: ReadonlySet<string> } = { id: "", names: new Set() };
  readonly #number: number;
  readonly #habits: Habits;
  readonly #sessions: Http2SessionManager;
  readonly #users: Client<typeof UserService>;
  #ended = Promise.withResolvers<EndedCall>();
  #stopping = false;

  /** Clients with different numbers create different users. */
  constructor(port: number, number: number, habits: Habits) {
    this.#number = number;
    this.#habits = habits;
    const baseUrl = `http://127.0.0.1:${port}`;
    const token = tokenFor(ADMIN);
    this.#sessions = new Http2SessionManager(baseUrl);
    const transport = createGrpcTransport({
      baseUrl,
      sessionManager: this.#sessions,
      interceptors: [
        (next) => async (request) => {
          request.header.set("authorization", `Bearer ${await token}`);
          return next(request);
        },
      ],
    });
    this.#users = createClient(UserService, transport);
  }

  /** Makes calls until the client is stopped. */
  async run(): Promise<void> {
    const calls = [this.#getUser, this.#listUsersPage, this.#createUser, this.#createUsers, this.#updateUser] as const;
    const { user } = await this.#users.createUser({
      email: `${PERSONAL}-own-${this.#number}@example.com`,
      name: PERSONAL,
    });
    this.own = { id: user?.id ?? "", names: new Set([PERSONAL]) };
    while (!this.#stopping) {
      const call = await this.#habits.random.pick([...calls]).call(this);
      this.calls.push(call);
      this.#ended.resolve(call);
      this.#ended = Promise.withResolvers<EndedCall>();
      if (call.end.code !== OK.code) await setTimeout(REST_MS);
    }
  }

  /** Waits until a call has ended so that began after now. */
  async until(isSo: (end: CallEnd) => boolean): Promise<void> {
    const now = performance.now();
    for (;;) {
      const { beganAt, end } = await this.#ended.promise;
      if (beganAt > now && isSo(end)) return;
    }
  }

  /** Makes no call after the one that is under way. */
  stop(): void {
    this.#stopping = true;
  }

  /** Sends the requests again of which this client does not know what has become. */
  async repeat(): Promise<void> {
    const open = this.creations.filter(({ end: { code } }) => code !== OK.code && code !== UNAVAILABLE.code);
    for (const { requests } of open) await this.#users.createUsers(streamOf(...requests));
  }

  /** Ends the calls that are open, and makes no more. */
  disconnect(): void {
    this.stop();
    this.#sessions.abort();
  }

  #getUser(): Promise<EndedCall> {
    const { id, names } = this.own;
    return this.#time("getUser", async (options) => {
      const { user } = await this.#users.getUser({ id }, options);
      if (!names.has(user?.name ?? "")) throw new Error("a name that the user cannot have");
    });
  }

  #listUsersPage(): Promise<EndedCall> {
    return this.#time("listUsersPage", (options) => this.#users.listUsersPage({ pageSize: 50 }, options));
  }

  #createUser(): Promise<EndedCall> {
    const user = this.#newUser(0);
    return this.#create([user], "createUser", (options) => this.#users.createUser(user, options));
  }

  #createUsers(): Promise<EndedCall> {
    const count = this.#habits.random.between(2, MAX_BATCH);
    const users = Array.from({ length: count }, (_, index) => this.#newUser(index));
    return this.#create(users, "createUsers", (options) => this.#users.createUsers(streamOf(...users), options));
  }

  async #updateUser(): Promise<EndedCall> {
    const { id, names } = this.own;
    const name = `${PERSONAL} ${this.calls.length}`;
    const call = await this.#time("updateUser", (options) => this.#users.updateUser({ user: { id, name } }, options));
    if (call.end.code === OK.code) this.own = { id, names: new Set([name]) };
    else if (call.end.code !== UNAVAILABLE.code) this.own = { id, names: new Set([...names, name]) };
    return call;
  }

  async #create(
    requests: readonly NewUser[],
    method: string,
    make: (options: CallOptions) => Promise<unknown>,
  ): Promise<EndedCall> {
    const call = await this.#time(method, make);
    this.creations.push({ requests, end: call.end });
    return call;
  }

  async #time(method: string, make: (options: CallOptions) => Promise<unknown>): Promise<EndedCall> {
    const { timeoutMs } = this.#habits;
    const beganAt = performance.now();
    const end = await endOf(make({ timeoutMs }));
    return { method, end, beganAt, durationMs: performance.now() - beganAt, timeoutMs };
  }

  #newUser(index: number): NewUser {
    const name = `${PERSONAL}-${this.#number}-${this.calls.length}-${index}`;
    return { email: `${name}@example.com`, name, requestId: randomUUID() };
  }
}
