import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import type { ConnectError } from "@connectrpc/connect";
import { describe, expect, it, onTestFinished } from "vitest";
import { joinRoom } from "../../src/client/chat.ts";
import { readFailure } from "../../src/client/failure.ts";
import { createUserClient, type UserClient } from "../../src/client/user-client.ts";
import { watch } from "../../src/client/watch.ts";
import { ChatMessageType } from "../../src/gen/user/v1/user_service_pb.ts";
import { WatchEventType } from "../../src/gen/user/v1/watch_pb.ts";
import { freshDatabase } from "../support/database.ts";
import { FULL } from "../support/full.ts";
import { lastingPort } from "../support/ports.ts";
import { startProcess } from "../support/process.ts";
import { servingTestServer } from "../support/server.ts";

const CALLS_PER_S = FULL ? 300 : 100;
/** How often each of the two replicas is restarted. */
const ROUNDS = FULL ? 5 : 1;
const WATCHES = FULL ? 4 : 2;
const MEMBERS = FULL ? 4 : 2;
/** Between a restart and the next, in which clients find the new one. */
const REST_MS = FULL ? 2000 : 300;

interface Replica {
  readonly port: number;
  stop(): Promise<unknown>;
}

/** Starts a replica: in the full form in a process of its own, which stops as it does in production. */
async function startReplica(url: string, port: number): Promise<Replica> {
  const environment = { AUTH: "none", DATABASE_URL: url, PORT: String(port), LOG_LEVEL: "info" };
  if (!FULL) {
    const replica = await servingTestServer({ environment });
    return { port: replica.port, stop: () => replica.server.stop() };
  }
  const { child, exit, port: listening } = startProcess(environment);
  const bound = await listening;
  using client = createUserClient(`127.0.0.1:${bound}`);
  while (!(await isServing(client))) await setTimeout(20);
  return {
    port: bound,
    async stop() {
      child.kill("SIGTERM");
      expect(await exit).toBe(0);
    },
  };
}

/** How often each of them is there. */
function tally(failures: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const failure of failures) counts[failure] = (counts[failure] ?? 0) + 1;
  return counts;
}

async function isServing(client: UserClient): Promise<boolean> {
  return client.listUsersPage({}).then(
    () => true,
    () => false,
  );
}

/** Calls that are made at a steady pace, whatever becomes of them. */
class Load {
  readonly failures: string[] = [];
  /** The e-mail addresses of those who were created. */
  readonly created: string[] = [];
  calls = 0;
  readonly #client: UserClient;
  readonly #open = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;
  readonly #start = performance.now();
  #id = "";

  constructor(client: UserClient) {
    this.#client = client;
    this.#timer = setInterval(() => this.#catchUp(), 5);
    onTestFinished(() => clearInterval(this.#timer));
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#open);
  }

  #catchUp(): void {
    const due = ((performance.now() - this.#start) / 1000) * CALLS_PER_S;
    while (this.calls < due) {
      const call = this.#call(this.calls++).catch((error: unknown) => {
        const { code, reason, message } = readFailure(error);
        // But for the times in it.
        this.failures.push(`${code} ${reason} ${message.replaceAll(/\d+/g, "N")}`);
      });
      this.#open.add(call);
      void call.then(() => this.#open.delete(call));
    }
  }

  /** Every tenth call creates, one in a hundred of those many; the others read. */
  async #call(n: number): Promise<void> {
    const email = `${randomUUID()}@example.com`;
    if (n % 100 === 0) {
      const emails = Array.from({ length: 5 }, (_, index) => `${index}-${email}`);
      await this.#client.createUsers(emails.map((each) => ({ email: each, name: "Many" })));
      this.created.push(...emails);
    } else if (n % 10 === 0) {
      const { user } = await this.#client.createUser({ email, name: "One" });
      this.#id = user?.id ?? "";
      this.created.push(email);
    } else if (n % 10 === 5) {
      await Array.fromAsync(this.#client.listUsers({ pageSize: 5 }));
    } else {
      await this.#client.batchGetUsers({ ids: [this.#id || "nobody"] });
    }
  }
}

/** A client of both replicas, as a process of its own would have one: under a name that no other shares its budget with. */
function clientOf(replicas: readonly Replica[]): UserClient {
  const client = createUserClient(`ipv4:${replicas.map(({ port }) => `127.0.0.1:${port}`).join(",")}`);
  onTestFinished(() => client.close());
  return client;
}

describe("replicas that are restarted in turn, under load", () => {
  it("fail no call that may be retried, and lose or repeat no event and no text", async () => {
    const url = await freshDatabase();
    const replicas = [await startReplica(url, await lastingPort()), await startReplica(url, await lastingPort())];
    const client = clientOf(replicas);

    const interruptions: string[] = [];
    const onInterrupted = (error: ConnectError) => interruptions.push(error.rawMessage);
    const told = Array.from({ length: WATCHES }, () => {
      const events = watch(client, { snapshot: true, heartbeatMs: 1000, onInterrupted });
      const emails: string[] = [];
      const reading = (async () => {
        for await (const { type, user } of events) {
          // Whoever was created before the snapshot is in it.
          if (type === WatchEventType.CREATED || type === WatchEventType.SNAPSHOT) emails.push(user?.email ?? "");
        }
      })();
      return { events, emails, reading };
    });
    const rooms = Array.from({ length: MEMBERS }, (_, n) =>
      joinRoom(client, "lobby", { userId: `member${n}`, onInterrupted }),
    );
    const heard = rooms.map((room) => Array.fromAsync(room));

    const load = new Load(client);
    const posted: Promise<unknown>[] = [];
    const posting = setInterval(() => {
      for (const room of rooms) posted.push(room.send(`text ${posted.length}`));
    }, 100);
    onTestFinished(() => clearInterval(posting));
    for (let round = 0; round < ROUNDS; round++) {
      for (const [index, { port, stop }] of replicas.entries()) {
        await setTimeout(REST_MS);
        await stop();
        replicas[index] = await startReplica(url, port);
        if (FULL) console.info({ round, index, calls: load.calls, failures: tally(load.failures) });
      }
    }
    await setTimeout(REST_MS);
    clearInterval(posting);
    await load.stop();
    await Promise.all(posted);

    if (FULL) console.info({ calls: load.calls, created: load.created.length, interruptions: interruptions.length });
    expect(load.failures).toEqual([]);
    expect(interruptions.length).toBeGreaterThan(0);
    const created = load.created.toSorted((a, b) => a.localeCompare(b));
    for (const { events, emails, reading } of told) {
      await expect.poll(() => emails.length, { timeout: 10_000 }).toBe(created.length);
      await events.return();
      await reading;
      expect(emails.toSorted((a, b) => a.localeCompare(b))).toEqual(created);
    }
    for (const room of rooms) await expect.poll(() => room.sequence).toBe(BigInt(posted.length));
    await Promise.all(rooms.map((room) => room.close()));
    for (const messages of await Promise.all(heard)) {
      const sequences = messages
        .filter(({ type }) => type === ChatMessageType.TEXT)
        .map(({ sequence }) => Number(sequence));
      expect(sequences).toEqual(Array.from({ length: posted.length }, (_, n) => n + 1));
    }
  });
});
