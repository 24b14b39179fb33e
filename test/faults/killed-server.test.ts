import { type Client as ConnectClient, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Client } from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "../../src/gen/health/v1/health_pb.ts";
import { type CreateUsersResponse, UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { freshDatabase } from "../support/database.ts";
import { FULL } from "../support/full.ts";
import { type ServiceProcess, startProcess } from "../support/process.ts";
import { chooseSeed, Random } from "../support/random.ts";
import { servingTestServer, userClient } from "../support/server.ts";

const KILLS = FULL ? 100 : 2;
const KILLS_BESIDE_ANOTHER = FULL ? 50 : 1;
const USERS = FULL ? 5000 : 200;
/** About as often as a statement is seen at work on so many users. */
const MANY_TIMES = FULL ? 100 : 10;

describe("CreateUsers with request ids, on a server that is killed", () => {
  it("creates all users or none, and each once when the stream is sent again", async () => {
    const seed = chooseSeed();
    const random = new Random(seed);
    const database = await Database.connect(await freshDatabase());
    const outcomes = new Map<string, number>();
    let service = await startService(database.url);

    for (let kill = 0; kill < KILLS; kill++) {
      const [moment, comes] = MOMENTS[kill % MOMENTS.length] ?? expect.fail("there is no moment");
      const context = `SEED=${seed}, kill ${kill}: ${moment}`;
      const users = newUsers(kill);
      const first = new Call(service.client, users, database);
      const came = await comes(first, random);
      service.process.child.kill("SIGKILL");
      expect(await service.process.exit, context).toBe("SIGKILL");
      await first.end;
      await database.deserted();

      const survivors = await database.idsOf(users);
      const created = survivors.length > 0;
      expect(await database.counts(), context).toEqual(countsOf(created ? kill + 1 : kill));
      if (first.response !== undefined) expect(survivors, context).toEqual(first.response.userIds);

      const isLast = kill === KILLS - 1;
      if (!isLast) service = await startService(database.url);
      const client = isLast ? await startHere(database.url) : service.client;
      const { userIds, createdCount } = await client.createUsers(streamOf(users));
      expect(createdCount, context).toBe(USERS);
      expect(userIds, context).toEqual(await database.idsOf(users));
      if (created) expect(userIds, context).toEqual(survivors);
      expect(await database.counts(), context).toEqual(countsOf(kill + 1));

      const outcome = `${came ? "" : "too late, not "}${moment}: ${created ? "all" : "none"}`;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    if (FULL) console.info(Object.fromEntries(outcomes));
    expect([...outcomes.keys()], `SEED=${seed}`).toEqual(expect.arrayContaining(EXPECTED_OUTCOMES));
  });

  it("creates each user once when the stream is sent to another replica at once", async () => {
    const seed = chooseSeed();
    const random = new Random(seed);
    const database = await Database.connect(await freshDatabase());
    const client = await startHere(database.url);

    for (let kill = 0; kill < KILLS_BESIDE_ANOTHER; kill++) {
      // The first of them is the one that comes after those of the test above.
      const [moment, comes] = MOMENTS[(KILLS + kill) % MOMENTS.length] ?? expect.fail("there is no moment");
      const context = `SEED=${seed}, kill ${kill}: ${moment}`;
      const users = newUsers(kill);
      const service = await startService(database.url);
      const first = new Call(service.client, users, database);
      await comes(first, random);
      service.process.child.kill("SIGKILL");

      // PostgreSQL may yet be at what the killed process has sent.
      const { userIds } = await client.createUsers(streamOf(users));
      await first.end;
      if (first.response !== undefined) expect(userIds, context).toEqual(first.response.userIds);
      expect(userIds, context).toEqual(await database.idsOf(users));
      expect(await database.counts(), context).toEqual(countsOf(kill + 1));
    }
  });
});

/** When a server is killed: waits for the moment, and tells whether it came, for what one looks for may be over too soon. */
type Moment = (call: Call, random: Random) => Promise<boolean>;

const MOMENTS: readonly (readonly [name: string, comes: Moment])[] = [
  ["while messages are sent", (call, random) => call.hasSent(random.between(1, USERS - 1))],
  ["while the transaction commits", (call, random) => call.isAt("COMMIT", random.between(1, MANY_TIMES / 2))],
  ["while users are inserted", (call, random) => call.isAt("INSERT INTO users", random.between(1, MANY_TIMES))],
  ["while requests are noted", (call) => call.isAt("INSERT INTO creation_requests", 1)],
  ["after the answer", (call) => call.isAnswered()],
];

/** What must have happened for the test to prove anything. Which statement is still seen, the short form leaves to chance. */
const EXPECTED_OUTCOMES = FULL
  ? [
      "while messages are sent: none",
      "while users are inserted: none",
      "while requests are noted: none",
      "while the transaction commits: all",
      "after the answer: all",
    ]
  : ["while messages are sent: none", expect.stringMatching(/while the transaction commits: all$/)];

interface NewUser {
  readonly email: string;
  readonly name: string;
  readonly requestId: string;
}

/** A call of CreateUsers, which may end in any way. */
class Call {
  /** Settles when the call has ended, however. */
  readonly end: Promise<void>;
  /** The answer, if there was one. */
  response: CreateUsersResponse | undefined;
  readonly #database: Database;
  readonly #awaited = new Map<number, () => void>();
  #ended = false;

  constructor(client: ConnectClient<typeof UserService>, users: readonly NewUser[], database: Database) {
    this.#database = database;
    this.end = this.#run(client, users);
  }

  /** Waits until the call has ended, and tells whether it succeeded. */
  async isAnswered(): Promise<boolean> {
    await this.end;
    return this.response !== undefined;
  }

  /** Waits until so many messages have been sent. */
  hasSent(count: number): Promise<boolean> {
    return new Promise((resolve) => this.#awaited.set(count, () => resolve(true)));
  }

  /** Waits until the database has been seen so many times at such a statement, or is done with it; tells whether it was seen. */
  async isAt(statement: string, times: number): Promise<boolean> {
    let seen = 0;
    while (seen < times && !this.#ended) {
      if (await this.#database.isAt(statement)) seen++;
      else if (seen > 0) break;
    }
    return seen > 0;
  }

  async #run(client: ConnectClient<typeof UserService>, users: readonly NewUser[]): Promise<void> {
    const onSent = (count: number): void => this.#awaited.get(count)?.();
    this.response = await client.createUsers(streamOf(users, onSent)).catch(() => undefined);
    this.#ended = true;
  }
}

/** The database of the killed server, as others see it. */
class Database {
  readonly url: string;
  readonly #client: Client;

  private constructor(url: string, client: Client) {
    this.url = url;
    this.#client = client;
  }

  /** Connects until the test is finished. */
  static async connect(url: string): Promise<Database> {
    const client = new Client(url);
    await client.connect();
    onTestFinished(() => client.end());
    return new Database(url, client);
  }

  /** Whether a transaction of the service has got to a statement in which this occurs. */
  async isAt(statement: string): Promise<boolean> {
    const { rowCount } = await this.#client.query(
      `SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'user-service' AND state <> 'idle' AND strpos(query, $1) > 0`,
      [statement],
    );
    return rowCount !== 0;
  }

  /** Waits until PostgreSQL has noticed that the service is gone, and has ended what it was doing for it. */
  async deserted(): Promise<void> {
    const others = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while ((await this.#client.query(others)).rowCount !== 0);
  }

  /** The ids of those of these users who exist, in their order. */
  async idsOf(users: readonly NewUser[]): Promise<string[]> {
    const { rows } = await this.#client.query<{ id: string }>(
      "SELECT id FROM users JOIN unnest($1::text[]) WITH ORDINALITY AS wanted (email, position) USING (email) ORDER BY position",
      [users.map(({ email }) => email)],
    );
    return rows.map(({ id }) => id);
  }

  /** How many users there are, requests that created them, changes, and users whose creation is among these. */
  async counts(): Promise<Record<string, number>> {
    const { rows } = await this.#client.query<Record<string, number>>(
      `SELECT (SELECT count(*) FROM users)::int AS users,
        (SELECT count(*) FROM creation_requests JOIN users ON id = user_id)::int AS requests,
        (SELECT count(*) FROM changes)::int AS changes,
        (SELECT count(DISTINCT id) FROM changes JOIN users ON id = user_id WHERE kind = 'created')::int AS creations`,
    );
    return rows[0] ?? expect.fail("there is no row");
  }
}

/** The counts after so many streams. */
function countsOf(streams: number): Record<string, number> {
  const count = streams * USERS;
  return { users: count, requests: count, changes: count, creations: count };
}

/** Starts a replica in this process, where nobody kills it, which takes less time. */
async function startHere(url: string): Promise<ConnectClient<typeof UserService>> {
  return userClient(await servingTestServer({ environment: { AUTH: "none", DATABASE_URL: url } }), null);
}

/** Starts the service in a process of its own, and waits until it serves. */
async function startService(
  url: string,
): Promise<{ process: ServiceProcess; client: ConnectClient<typeof UserService> }> {
  const process = startProcess({ AUTH: "none", DATABASE_URL: url });
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${await process.port}` });
  for await (const { status } of createClient(Health, transport).watch({})) {
    if (status === ServingStatus.SERVING) return { process, client: createClient(UserService, transport) };
  }
  return expect.fail("the service stopped before it served");
}

/** The users of the stream whose server is killed as the nth. */
function newUsers(kill: number): NewUser[] {
  return Array.from({ length: USERS }, (_, index) => ({
    email: `killed${kill}-${index}@example.com`,
    name: "Phoenix",
    requestId: `00000000-0000-4000-8000-${String(kill * USERS + index).padStart(12, "0")}`,
  }));
}

/** Yields the users, and tells how many of them have been taken. */
async function* streamOf(
  users: readonly NewUser[],
  onSent: (count: number) => void = () => {},
): AsyncGenerator<NewUser> {
  for (const [index, user] of users.entries()) {
    yield user;
    onSent(index + 1);
  }
}
