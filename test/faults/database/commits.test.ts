import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { freshDatabase, query } from "../../support/database.ts";
import { newUsers, streamOf, type TestServer, userClient } from "../../support/server.ts";
import { startTcpProxy, type TcpProxy, type Verdict } from "../../support/tcp-proxy.ts";
import { endOf, OK, UNAVAILABLE, UNKNOWN } from "./call-end.ts";
import { PERSONAL, serve } from "./service.ts";

const ADA = { email: `${PERSONAL}-ada@example.com`, name: `${PERSONAL} Ada` };
const LOVELACE = `${PERSONAL} Lovelace`;

/** Where a connection breaks around COMMIT, and what has become of the transaction then. */
const BREAKS: readonly { readonly where: string; readonly verdict: Verdict; readonly happened: boolean }[] = [
  { where: "when COMMIT is on its way to PostgreSQL", verdict: "cut", happened: false },
  { where: "when the answer to COMMIT is on its way back", verdict: "cut at the answer", happened: true },
];

describe.each(BREAKS)("a connection that breaks $where", ({ verdict, happened }) => {
  it("makes the outcome of creations UNKNOWN, and the same requests again create each user once", async () => {
    const { database, proxy, server } = await serveThroughProxy();
    const client = userClient(server);
    const ada = { ...ADA, requestId: randomUUID() };
    const others = newUsers(20, PERSONAL).map((user) => ({ ...user, requestId: randomUUID() }));

    breakOnce(proxy, "COMMIT", verdict);
    expect(await endOf(client.createUser(ada))).toEqual(UNKNOWN);
    expect(await namesIn(database)).toEqual(happened ? [ADA.name] : []);
    const { user } = await client.createUser(ada);
    expect((await client.createUser(ada)).user).toEqual(user);
    expect(await namesIn(database)).toEqual([ADA.name]);

    breakOnce(proxy, "COMMIT", verdict);
    expect(await endOf(client.createUsers(streamOf(...others)))).toEqual(UNKNOWN);
    expect(await namesIn(database)).toHaveLength(happened ? 21 : 1);
    expect(await endOf(client.createUsers(streamOf(...others)))).toEqual(OK);
    expect(await namesIn(database)).toEqual([ADA.name, ...others.map(({ name }) => name)]);
  });

  it("makes the outcomes of an update and of a deletion UNKNOWN", async () => {
    const { database, proxy, server } = await serveThroughProxy();
    const client = userClient(server);
    const { user: { id = "" } = {} } = await client.createUser(ADA);

    breakOnce(proxy, "COMMIT", verdict);
    expect(await endOf(client.updateUser({ user: { id, name: LOVELACE } }))).toEqual(UNKNOWN);
    expect(await namesIn(database)).toEqual([happened ? LOVELACE : ADA.name]);

    breakOnce(proxy, "COMMIT", verdict);
    expect(await endOf(client.deleteUser({ id }))).toEqual(UNKNOWN);
    expect(await namesIn(database)).toHaveLength(happened ? 0 : 1);
  });
});

describe("a connection that breaks before COMMIT", () => {
  it("makes writes UNAVAILABLE, and nothing has happened", async () => {
    const { database, proxy, server } = await serveThroughProxy();
    const client = userClient(server);
    const { user: { id = "" } = {} } = await client.createUser(ADA);
    const users = newUsers(3, PERSONAL);
    const requests = users.map((user) => ({ ...user, requestId: randomUUID() }));

    for (const verdict of ["cut", "cut at the answer"] as const) {
      breakOnce(proxy, "insert_users", verdict);
      expect(await endOf(client.createUsers(streamOf(...users)))).toEqual(UNAVAILABLE);
      breakOnce(proxy, "insert_requests", verdict);
      expect(await endOf(client.createUsers(streamOf(...requests)))).toEqual(UNAVAILABLE);
      breakOnce(proxy, "update_user", verdict);
      expect(await endOf(client.updateUser({ user: { id, name: LOVELACE } }))).toEqual(UNAVAILABLE);
      breakOnce(proxy, "delete_user", verdict);
      expect(await endOf(client.deleteUser({ id }))).toEqual(UNAVAILABLE);
    }
    expect(await namesIn(database)).toEqual([ADA.name]);
  });
});

async function serveThroughProxy(): Promise<{ database: string; proxy: TcpProxy; server: TestServer }> {
  const database = await freshDatabase();
  const proxy = await startTcpProxy(database);
  return { database, proxy, server: await serve(proxy.url) };
}

/** Breaks the connection that sends a statement with this name or text, the next time that one does. */
function breakOnce(proxy: TcpProxy, statement: string, verdict: Verdict): void {
  proxy.judge = ({ text }) => {
    if (!text.includes(statement)) return "pass";
    proxy.judge = () => "pass";
    return verdict;
  };
}

/** The names of the users, in the order of creation. */
async function namesIn(database: string): Promise<string[]> {
  const users = await query<{ name: string }>(database, "SELECT name FROM users ORDER BY id");
  return users.map(({ name }) => name);
}
