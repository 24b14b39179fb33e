import { afterAll, expect, onTestFinished } from "vitest";
import { createDatabase, query, type TestDatabase } from "./database.ts";
import { callsEnded, closeTestServer, openTestServer, type TestServer, untilServing } from "./server.ts";
import { EMPTY } from "./store.ts";

/** Servers on one database, which nobody else uses. */
export interface Replicas {
  readonly servers: readonly [TestServer, ...TestServer[]];
  readonly url: string;
}

/** Replicas that are lent to one test after the other. */
interface Lent extends Replicas {
  readonly database: TestDatabase;
}

/**
 * Returns what gives a test replicas of an empty service: those that an earlier test had, or new ones, which take
 * twenty times as long. A test stops none of them, and ends its calls. To be called where tests are collected; after the
 * last of them, all replicas are stopped.
 */
export function emptyReplicas(count: number): () => Promise<Replicas> {
  const opened: Lent[] = [];
  const idle: Lent[] = [];
  afterAll(() => Promise.all(opened.map(close)));
  return async () => {
    const lent = idle.pop() ?? (await open(count));
    if (!opened.includes(lent)) opened.push(lent);
    onTestFinished(async ({ task }) => {
      // Nobody knows what it has left.
      if (task.result?.state === "fail") return;
      await Promise.all(lent.servers.map(callsEnded));
      await query(lent.url, EMPTY);
      idle.push(lent);
    });
    return lent;
  };
}

async function open(count: number): Promise<Lent> {
  const database = await createDatabase();
  const { url } = database;
  const start = async () => untilServing(await openTestServer({ environment: { DATABASE_URL: url } }));
  const [first = expect.fail(), ...others] = await Promise.all(Array.from({ length: count }, start));
  return { database, url, servers: [first, ...others] };
}

async function close({ servers, database }: Lent): Promise<void> {
  try {
    // All at once: each of them waits for its clients.
    await Promise.all(servers.map(closeTestServer));
  } finally {
    await database.drop();
  }
}
