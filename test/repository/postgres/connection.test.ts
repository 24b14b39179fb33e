import { once } from "node:events";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { Connection, isDatabaseUrl } from "../../../src/repository/postgres/connection.ts";
import { freshDatabase, query } from "../../support/database.ts";
import { type PostgresServer, startPostgres } from "../../support/postgres.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";

/** Connects; the connection is cut after the test. */
async function connect(url: string): Promise<Connection> {
  const connection = new Connection({ connectionString: url });
  onTestFinished(() => connection.cut());
  await connection.connect();
  return connection;
}

async function show(connection: Connection, setting: string): Promise<string | undefined> {
  const { rows } = await connection.query<Record<string, string>>(`SHOW ${setting}`);
  return rows[0]?.[setting];
}

/** A database whose name is `name`, on the server of the run. */
function databaseNamed(name: string): string {
  return Object.assign(new URL(inject("databaseUrl")), { pathname: name }).href;
}

/** Waits until a connection executes something that takes long. */
async function untilSleeping(url: string): Promise<void> {
  const sleeping = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND application_name = 'user-service'";
  while ((await query(url, `${sleeping} AND datname = current_database()`)).length === 0);
}

const SLEEP = "SELECT pg_sleep(600)";
const CANCELLED = expect.objectContaining({ code: "57014" });

/** A server of this file alone, which asks for passwords and listens on a Unix socket as well. */
let server: PostgresServer;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp("/tmp/pg-");
  // The server may run as somebody else.
  await chmod(directory, 0o777);
  server = await startPostgres({ unix_socket_directories: directory });
});

afterAll(async () => {
  await server.close();
  await rm(directory, { recursive: true });
});

describe("the session of a connection", () => {
  it("ends transactions in which nothing happens, and is known by its name", async () => {
    const connection = await connect(inject("databaseUrl"));
    expect(await show(connection, "idle_in_transaction_session_timeout")).toBe("5s");
    expect(await show(connection, "application_name")).toBe("user-service");
  });

  it.runIf(process.platform === "linux")("stops statements whose connection is broken", async () => {
    const connection = await connect(inject("databaseUrl"));
    expect(await show(connection, "client_connection_check_interval")).toBe("1s");
  });

  it.each(["repeatable read", "serializable", "read committed"])(
    "is READ COMMITTED on a database whose own default is %s",
    async (isolation) => {
      const url = await freshDatabase();
      const name = new URL(url).pathname.slice(1);
      await query(url, `ALTER DATABASE ${name} SET default_transaction_isolation = '${isolation}'`);
      const connection = await connect(url);
      expect(await show(connection, "default_transaction_isolation")).toBe("read committed");
      await connection.query("BEGIN");
      expect(await show(connection, "transaction_isolation")).toBe("read committed");
    },
  );
});

describe("limitStatements", () => {
  it("limits statements, again and again", async () => {
    const connection = await connect(inject("databaseUrl"));
    expect(await show(connection, "statement_timeout")).toBe("0");
    for (const [timeoutMs, shown] of [
      [64, "64ms"],
      [128, "128ms"],
      [128, "128ms"],
      [64, "64ms"],
      [2000, "2s"],
    ] as const) {
      await connection.limitStatements(timeoutMs);
      expect(await show(connection, "statement_timeout")).toBe(shown);
    }
    await connection.limitStatements(1);
    await expect(connection.query(SLEEP)).rejects.toEqual(CANCELLED);
  });

  it("is in force for what is sent right after it", async () => {
    const connection = await connect(inject("databaseUrl"));
    void connection.limitStatements(1);
    await expect(connection.query(SLEEP)).rejects.toEqual(CANCELLED);
  });

  it("tells the server nothing that it has been told, but waits for its answer", async () => {
    const proxy = await startTcpProxy(inject("databaseUrl"));
    const settings: string[] = [];
    proxy.judge = ({ text }) => {
      if (!text.includes("statement_timeout")) return "pass";
      settings.push(text);
      return "hold";
    };
    const connection = await connect(proxy.url);
    let answered = 0;
    const limits = [128, 128, 128].map((timeoutMs) => connection.limitStatements(timeoutMs).then(() => answered++));
    while (settings.length === 0) await setImmediate();
    expect(answered).toBe(0);
    proxy.release();
    await Promise.all(limits);
    expect(settings).toHaveLength(1);
  });

  it("tells the server again what it has refused", async () => {
    const connection = await connect(inject("databaseUrl"));
    await connection.query("BEGIN");
    await expect(connection.query("SELECT 1 / 0")).rejects.toThrow();
    await connection.limitStatements(128);
    await connection.query("ROLLBACK");
    expect(await show(connection, "statement_timeout")).toBe("0");
    await connection.limitStatements(128);
    expect(await show(connection, "statement_timeout")).toBe("128ms");
  });

  it("resolves on a connection that breaks", async () => {
    const proxy = await startTcpProxy(inject("databaseUrl"));
    proxy.judge = ({ text }) => (text.includes("statement_timeout") ? "cut" : "pass");
    const connection = await connect(proxy.url);
    await connection.limitStatements(128);
    await connection.limitStatements(128);
    await expect(connection.query("SELECT")).rejects.toThrow();
  });
});

describe("a connection that cannot be made", () => {
  const MISTAKES: readonly (readonly [string, (url: URL) => unknown, string])[] = [
    ["the database does not exist", (url) => (url.pathname = "no_such_database"), "3D000"],
    ["the password is wrong", (url) => (url.password = "wrong"), "28P01"],
    ["the role does not exist", (url) => (url.username = "nobody"), "28P01"],
  ];

  it.each(MISTAKES)("because %s, is closed, and says why", async (_why, change, code) => {
    const proxy = await startTcpProxy(server.url());
    const url = new URL(proxy.url);
    change(url);
    const connection = new Connection({ connectionString: url.href });
    const closed = once(connection, "end");
    await expect(connection.connect()).rejects.toMatchObject({ code });
    await closed;
    expect(socketOf(connection).destroyed).toBe(true);
  });

  it("because pg refuses to, is closed", async () => {
    const proxy = await startTcpProxy(server.url());
    const { hostname, port, username } = new URL(proxy.url);
    const password = () => Promise.reject(new Error("no password"));
    const connection = new Connection({ host: hostname, port: Number(port), user: username, password });
    await expect(connection.connect()).rejects.toThrow();
    expect(socketOf(connection).destroyed).toBe(true);
  });

  it("because the server does not answer in time, is closed", async () => {
    const proxy = await startTcpProxy(server.url());
    proxy.judge = () => "hold";
    const connection = new Connection({ connectionString: proxy.url, connectionTimeoutMillis: 50 });
    await expect(connection.connect()).rejects.toThrow();
    expect(socketOf(connection).destroyed).toBe(true);
  });

  it("tells a callback, and is closed", async () => {
    const connection = new Connection({ connectionString: databaseNamed("no_such_database") });
    const error = await new Promise((resolve) => connection.connect(resolve));
    expect(error).toMatchObject({ code: "3D000" });
    expect(socketOf(connection).destroyed).toBe(true);
  });

  function socketOf(connection: Connection): { destroyed: boolean } {
    // Private to pg.
    return (connection as unknown as { connection: { stream: { destroyed: boolean } } }).connection.stream;
  }
});

describe("cancelStatement", () => {
  it("stops the statement, and no later one", async () => {
    const url = await freshDatabase();
    const connection = await connect(url);
    const asleep = expect(connection.query(SLEEP)).rejects.toEqual(CANCELLED);
    await untilSleeping(url);
    expect(await connection.cancelStatement(5000)).toBe(true);
    await asleep;
    for (let count = 0; count < 20; count++) await connection.query("SELECT");
  });

  it("tells that the request has not been delivered if the server does not take it", async () => {
    const proxy = await startTcpProxy(await freshDatabase());
    const connection = await connect(proxy.url);
    proxy.judge = () => "hold";
    expect(await connection.cancelStatement(20)).toBe(false);
    proxy.close();
    expect(await connection.cancelStatement(5000)).toBe(false);
  });
});

describe("over a Unix socket", () => {
  function socketUrl(): string {
    const { password, port } = new URL(server.url());
    return `postgres://postgres:${password}@${encodeURIComponent(directory)}:${port}/postgres`;
  }

  it("a statement is cancelled", async () => {
    expect(isDatabaseUrl(socketUrl())).toBe(true);
    const connection = await connect(socketUrl());
    const asleep = expect(connection.query(SLEEP)).rejects.toEqual(CANCELLED);
    await untilSleeping(server.url());
    expect(await connection.cancelStatement(5000)).toBe(true);
    await asleep;
    await connection.query("SELECT");
  });

  it("a request to cancel is not delivered where there is no socket", async () => {
    const connection = await connect(socketUrl());
    await rm(join(directory, `.s.PGSQL.${new URL(server.url()).port}`));
    expect(await connection.cancelStatement(5000)).toBe(false);
  });
});

describe("isDatabaseUrl", () => {
  it.each([
    "postgres://localhost",
    "postgresql://localhost",
    "postgres://user:secret@localhost:5432/users",
    "postgres://user:s%C3%A4fe%20%40@[::1]:6432/users",
    "postgres://localhost/users?sslmode=disable",
    "postgres:///users?host=/run/postgresql&user=ada",
    "postgres://%2Frun%2Fpostgresql/users",
    "postgres://user:secret@%2Frun%2Fpostgresql:5433/users",
    "postgres://localhost/users?port=6432",
  ])("is true of %s", (url) => {
    expect(isDatabaseUrl(url)).toBe(true);
  });

  it.each([
    "",
    "localhost",
    "/run/postgresql",
    "postgres:localhost",
    "mysql://localhost/users",
    "http://localhost/users",
    "postgres://localhost:99999/users",
    "postgres://localhost:abc/users",
    "postgres://localhost/users?port=abc",
    "postgres://%E4@localhost/users",
    "postgres://user:%E4@localhost/users",
    "postgres://localhost/%E4",
    "postgres://localhost/users?sslrootcert=/missing",
    "postgres://localhost/users?sslcert=/missing",
    "postgres://localhost/users?sslnegotiation=never",
  ])("is false of %s", (url) => {
    expect(isDatabaseUrl(url)).toBe(false);
  });

  it.each(["postgres://localhost/users?port=99999", "postgres://localhost/users?port=-1"])(
    "is false of %s, to which nobody can connect",
    (url) => {
      expect(isDatabaseUrl(url)).toBe(false);
    },
  );
});
