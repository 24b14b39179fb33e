import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { PostgresBus } from "../../src/bus/postgres-bus.ts";
import { createDatabase, freshDatabase, query, type TestDatabase } from "../support/database.ts";
import { FULL } from "../support/full.ts";
import { type ClientMessage, startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { busContract } from "./bus-suite.ts";
import { allHear, Follower, hears } from "./follower.ts";

/** PostgreSQL takes so many bytes in one notification. */
const MAX_PAYLOAD_BYTES = 7999;

/** Longer than a connection may be silent, twice. */
const PATIENCE = { timeout: 40_000 };

/** Of all tests: each has followers of its own, and what it opens is closed after it. */
let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

afterAll(() => database.drop());

busContract("two PostgresBuses on one database", async () => {
  const { url } = database;
  return { here: openBus(url), there: openBus(url) };
});

describe("PostgresBus", () => {
  it("tells news of one moment in one notification", async () => {
    const { bus, other, notifications } = await openWatched();
    await hears(other, "news", () => bus.publish("news"));
    const before = notifications.length;
    const topics = Array.from({ length: 500 }, (_, index) => `topic ${index}`);
    const publishAll = () => {
      for (const topic of [...topics, ...topics]) bus.publish(topic);
    };
    let publications = 0;
    await allHear(other, topics, () => {
      publications++;
      publishAll();
    });
    expect(notifications.length - before).toBeLessThanOrEqual(publications);
  });

  it("tells news that are too much for one notification in as few as it takes", async () => {
    const { bus, other, notifications } = await openWatched();
    await hears(other, "news", () => bus.publish("news"));
    const before = notifications.length;
    // Of 1 byte, 2 and 4 each, and of those that JSON writes as several.
    const topics = ["x", "é", "😀", '"', "\n"].flatMap((text) =>
      Array.from({ length: 40 }, (_, index) => `${text.repeat(200)}${index}`),
    );
    let publications = 0;
    await allHear(other, topics, () => {
      publications++;
      for (const topic of topics) bus.publish(topic);
    });
    const least = Math.ceil(Buffer.byteLength(JSON.stringify(topics)) / MAX_PAYLOAD_BYTES);
    expect(notifications.length - before).toBeGreaterThanOrEqual(least);
    expect(notifications.length - before).toBeLessThanOrEqual((least + 1) * publications);
  });

  it.each([
    { characters: "letters", topic: "x".repeat(MAX_PAYLOAD_BYTES - 4) },
    { characters: "quotes", topic: '"'.repeat((MAX_PAYLOAD_BYTES - 5) / 2) },
  ])("tells of a topic that fills a notification with $characters", async ({ topic }) => {
    const { url } = database;
    const [bus, other] = [openBus(url), openBus(url)];
    await hears(other, topic, () => bus.publish(topic));
  });

  it("tells of the others when a topic is too long for a notification", async () => {
    const { url } = database;
    const [bus, other] = [openBus(url), openBus(url)];
    await allHear(other, ["before", "after"], () => {
      for (const topic of ["before", "x".repeat(MAX_PAYLOAD_BYTES), "after"]) bus.publish(topic);
    });
  });

  it("is not disturbed by what others say on its channel", async () => {
    const { url } = database;
    const bus = openBus(url);
    const other = openBus(url);
    await hears(bus, "news", () => other.publish("news"));
    for (const garbage of ["", "news", "{", '{"news": 1}', '"news"', "null", "[[], {}, 1, null]", '["news"', "😀"]) {
      await query(url, `SELECT pg_notify('user_service', '${garbage}')`);
    }
    await hears(bus, "news", () => other.publish("news"));
    await hears(bus, "it is", () => query(url, `NOTIFY user_service, '[1, "it is", null]'`));
  });
});

describe("PostgresBus without its connection", () => {
  it("wakes everybody from time to time, and hears again when it has another", PATIENCE, async () => {
    const { bus, other, proxy } = await openWatched();
    await hears(bus, "news", () => other.publish("news"));
    for (let round = 0; round < 3; round++) {
      proxy.close();
      await wakesOften(bus);
      await hears(bus, "news", () => bus.publish("news"));
      await proxy.listen();
      await hears(bus, "news", () => other.publish("news"));
      await hears(other, "news", () => bus.publish("news"));
    }
  });

  it("goes on when PostgreSQL has ended it", async () => {
    const { bus, other, url } = await openWatched(await freshDatabase());
    await hears(bus, "news", () => other.publish("news"));
    const ended = await query(
      url,
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'user-service'",
    );
    expect(ended).toHaveLength(2);
    await hears(bus, "news", () => other.publish("news"));
  });

  it.runIf(FULL)("makes another when it has fallen silent", PATIENCE, async () => {
    const { bus, other, proxy } = await openWatched();
    await hears(bus, "news", () => other.publish("news"));
    const { connections } = proxy;
    proxy.judge = ({ connection }) => (connection <= connections ? "hold" : "pass");
    await wakesOften(bus);
    await expect.poll(() => proxy.connections, PATIENCE).toBeGreaterThan(connections);
    await hears(bus, "news", () => other.publish("news"));
  });

  it("wakes everybody from time to time while the database is not there yet, and hears when it is", async () => {
    const { url } = database;
    const proxy = await startTcpProxy(url);
    proxy.refuse();
    const bus = openBus(proxy.url);
    await wakesOften(bus);
    await hears(bus, "news", () => bus.publish("news"));
    await proxy.listen();
    const other = openBus(url);
    await hears(bus, "news", () => other.publish("news"));
  });

  it.each(["start-up", "Q"])("wakes everybody while %j is not answered, and closes all the same", async (type) => {
    const proxy = await startTcpProxy(database.url);
    proxy.judge = (message) => (message.type === type ? "hold" : "pass");
    const bus = openBus(proxy.url);
    await wakesOften(bus);
    await bus.close();
  });

  it("wakes everybody though no notification arrives", PATIENCE, async () => {
    const { url } = database;
    const proxy = await startTcpProxy(url);
    proxy.judge = ({ text }) => (/LISTEN|pg_notify/.test(text) ? "cut" : "pass");
    const bus = openBus(proxy.url);
    await wakesOften(bus);
  });
});

describe("PostgresBus.close", () => {
  it("leaves no connection, and no news for others", async () => {
    const { bus, other, url, notifications } = await openWatched(await freshDatabase());
    await hears(other, "news", () => bus.publish("news"));
    const before = notifications.length;
    await bus.close();
    await other.close();
    const open =
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'user-service'";
    await expect.poll(() => query(url, open)).toEqual([]);
    await hears(bus, "news", () => bus.publish("news"));
    expect(notifications).toHaveLength(before);
  });

  it("wakes nobody any more by itself", async () => {
    const bus = openBus(database.url);
    const follower = new Follower(bus, "news");
    await follower.next();
    await bus.close();
    await hears(bus, "last", () => bus.publish("last"));
    const before = follower.wakes;
    await hears(bus, "last", () => bus.publish("last"));
    expect(follower.wakes).toBe(before);
  });

  it.each(["at once", "when it is connected", "when the database is not there"])(
    "ends its process, %s",
    async (when) => {
      const { url } = database;
      const proxy = await startTcpProxy(url);
      if (when === "when the database is not there") proxy.refuse();
      const module = new URL("../../src/bus/postgres-bus.ts", import.meta.url).href;
      const script = `
      const { PostgresBus } = await import(${JSON.stringify(module)});
      const bus = new PostgresBus(${JSON.stringify(proxy.url)});
      // Of the bus alone, no process is kept alive.
      const alive = setInterval(() => {}, 1000);
      ${when === "at once" ? "" : `await new Promise((resolve) => bus.follow("news", resolve));`}
      clearInterval(alive);
      bus.publish("news");
      await bus.close();
      process.stdout.write("closed");`;
      expect(await outputOf(script)).toBe("closed");
    },
  );
});

/** Opens a bus, which is closed after the test. */
function openBus(url: string): PostgresBus {
  const bus = new PostgresBus(url);
  onTestFinished(() => bus.close());
  return bus;
}

/** Opens a bus behind a proxy, which counts its notifications, and another on the same database. */
async function openWatched(url = database.url): Promise<{
  url: string;
  proxy: TcpProxy;
  bus: PostgresBus;
  other: PostgresBus;
  notifications: ClientMessage[];
}> {
  const proxy = await startTcpProxy(url);
  const notifications: ClientMessage[] = [];
  proxy.judge = (message) => {
    if (message.text.includes("pg_notify")) notifications.push(message);
    return "pass";
  };
  return { url, proxy, bus: openBus(proxy.url), other: openBus(url), notifications };
}

/** Expects that somebody is woken of whom there are no news, and not only once. */
async function wakesOften(bus: PostgresBus): Promise<void> {
  const follower = new Follower(bus, "of which there are no news");
  for (let count = 0; count < 2; count++) await follower.next();
  follower.end();
}

/** What a script prints until its process ends by itself. */
async function outputOf(script: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script], {
    env: {},
    timeout: 10_000,
  });
  return stdout;
}
