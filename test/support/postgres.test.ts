import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { migrate } from "../../src/repository/postgres/migrate.ts";
import { createDatabase, createEmptyDatabase, emptyDatabase, freshDatabase, query } from "./database.ts";
import { type PostgresServer, startPostgres } from "./postgres.ts";

describe("a PostgreSQL server of one's own", () => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres({ max_connections: "7" });
  });

  afterAll(() => server.close());

  it("has the settings that it was started with", async () => {
    expect(await query(server.url(), "SHOW max_connections")).toEqual([{ max_connections: "7" }]);
    expect(await query(server.url(), "SHOW fsync")).toEqual([{ fsync: "off" }]);
  });

  it.each(["fast", "immediate"] as const)("keeps its data over a stop that is %s", async (mode) => {
    await query(server.url(), `CREATE TABLE ${mode} AS SELECT 1 AS kept`);
    const pid = server.pid;
    await server.stop(mode);
    await expect(query(server.url(), "SELECT")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await server.start();
    expect(server.pid).not.toBe(pid);
    expect(await query(server.url(), `TABLE ${mode}`)).toEqual([{ kept: 1 }]);
  });

  it("answers nothing while it is frozen, and goes on when it is thawed", async () => {
    const client = await connect(server.url());
    server.freeze();
    const answer = client.query("SELECT 1 AS one");
    const newcomer = new Client({ connectionString: server.url(), connectionTimeoutMillis: 200 });
    await expect(Promise.race([answer, newcomer.connect()])).rejects.toThrow("timeout");
    server.thaw();
    expect((await answer).rows).toEqual([{ one: 1 }]);
  });

  it("can be stopped while it is frozen", async () => {
    server.freeze();
    await server.stop("immediate");
    await server.start();
    expect(await query(server.url(), "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  it("tells a role that may not create databases what it lacks", async () => {
    await query(server.url(), "CREATE ROLE guest LOGIN PASSWORD 'guest'");
    const url = Object.assign(new URL(server.url()), { username: "guest", password: "guest" });
    await expect(createEmptyDatabase(url.href)).rejects.toThrow("needs CREATEDB");
  });

  it("ends with the process that started it, even one that is killed", async () => {
    const script = `
      import { startPostgres } from ${JSON.stringify(new URL("postgres.ts", import.meta.url))};
      console.log((await startPostgres()).url());
    `;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void parent.kill("SIGKILL"));
    const [url] = (await once(createInterface(parent.stdout), "line")) as [string];
    const ended = endOf(await connect(url));
    parent.kill("SIGKILL");
    await ended;
  });
});

const TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'";

describe("an empty database", () => {
  it("has no table, and is another one each time", async () => {
    for (const url of await Promise.all([emptyDatabase(), emptyDatabase()])) {
      expect(await query(url, TABLES)).toEqual([]);
      await query(url, "CREATE TABLE users ()");
    }
  });
});

describe("a fresh database", () => {
  it("has the tables of the service, and is another one each time", async () => {
    for (const url of await Promise.all([freshDatabase(), freshDatabase()])) {
      expect(await query(url, TABLES)).toContainEqual({ tablename: "users" });
      expect(await migrate(url)).toEqual([]);
      await query(url, "DROP TABLE users CASCADE");
    }
  });

  it("is dropped although connections are open", async () => {
    const { url, drop } = await createDatabase();
    const ended = endOf(await connect(url));
    await drop();
    await ended;
    await expect(query(url, "SELECT")).rejects.toThrow("does not exist");
  });
});

/** A client that is connected until the test is finished. */
async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  client.on("error", () => {}); // Some tests end the server, or the connection.
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

function endOf(client: Client): Promise<void> {
  return new Promise((resolve) => client.once("end", resolve));
}
