import { ConnectError } from "@connectrpc/connect";
import { describe, expect, it, onTestFailed } from "vitest";
import { lengthOf } from "../../src/domain/text-operation.ts";
import { freshDatabase, query } from "../support/database.ts";
import { EditCallOfTest } from "../support/edit-call.ts";
import { type EditCall, Editor } from "../support/editor.ts";
import { failureOf, toFailure } from "../support/errors.ts";
import { FULL } from "../support/full.ts";
import { chooseSeed, Random } from "../support/random.ts";
import { servingTestServer, type TestServer, userClient } from "../support/server.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { randomOp, randomText } from "../support/text-ops.ts";
import { createUser, getUser, type UserClient, updateUser } from "../user-service/users.ts";

const SESSIONS = FULL ? 400 : 5;
/** So many at a time. */
const AT_ONCE = 4;

/** Calls of a client, as an editor makes them. */
function callOf(client: UserClient): EditCall {
  return (requests, signal) => client.collaborativeEdit(requests, { signal });
}

/** Waits for what is under way somewhere in the service; how long that takes does not matter. */
async function roundTrips(client: UserClient, id: string, count: number): Promise<void> {
  for (let trip = 0; trip < count; trip++) await client.getUser({ id });
}

async function act(editor: Editor, client: UserClient, id: string, random: Random): Promise<void> {
  const chance = random.next();
  if (chance < 0.6) editor.edit(randomOp(random, lengthOf(editor.text)));
  else if (chance < 0.7) editor.move(random.between(0, 20));
  else if (chance < 0.8) {
    const over = editor.disconnect();
    editor.edit(randomOp(random, lengthOf(editor.text)));
    if (random.next() < 0.5) await over;
    editor.connect();
  }
  await roundTrips(client, id, random.pick([0, 0, 1, 3]));
}

/** Edits a text on several replicas, each connection on any of them, and ends when all is told. */
async function session(clients: readonly [UserClient, ...UserClient[]], seed: number): Promise<Editor[]> {
  const random = new Random(seed);
  const [client] = clients;
  const bio = randomText(random, random.between(1, 6));
  const { id } = await createUser(client, { email: `user${seed}@example.com`, profile: { bio } });
  const anywhere: EditCall = (...call) => callOf(random.pick([...clients]))(...call);
  const editors = Array.from({ length: random.between(2, 5) }, () => new Editor(id, anywhere));
  for (const editor of editors) editor.connect();
  await Promise.all(
    editors.map(async (editor) => {
      const own = new Random(random.between(0, 2 ** 31));
      await editor.until(() => editor.revision !== undefined);
      for (let moments = own.between(2, 8); moments > 0; moments--) await act(editor, client, id, own);
    }),
  );
  if (random.next() < 0.3) await updateUser(client, { id, profile: { bio: randomText(random, 2) } }, "profile.bio");

  const done = (isSo: (editor: Editor) => boolean) =>
    Promise.all(
      editors.map(async (editor) => {
        await editor.until(() => editor.failure !== undefined || isSo(editor));
        if (editor.failure !== undefined) throw editor.failure;
      }),
    );
  await done(({ isSettled }) => isSettled);
  const text = (await getUser(client, id)).profile?.bio ?? "";
  await done((editor) => editor.text === text);
  const latest = Math.max(...editors.map(({ revision = 0 }) => revision));
  await done(({ revision }) => revision === latest);
  for (const editor of editors) {
    expect(editor.text).toBe(text);
    await editor.disconnect();
  }
  return editors;
}

async function startReplica(url: string): Promise<TestServer> {
  return servingTestServer({ environment: { DATABASE_URL: url } });
}

describe("editors on two replicas over PostgreSQL", () => {
  it(`all end with the same text, in ${SESSIONS} sessions`, { timeout: FULL ? 1_800_000 : 60_000 }, async () => {
    const first = chooseSeed();
    onTestFailed(() => console.error(`SEED=${first}`));
    const url = await freshDatabase();
    const clients = [userClient(await startReplica(url)), userClient(await startReplica(url))] as const;
    const editors: Editor[] = [];
    let next = first;
    const work = async (): Promise<void> => {
      while (next < first + SESSIONS) editors.push(...(await session([...clients], next++)));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    const count = (what: keyof Editor["seen"]) => editors.reduce((sum, { seen }) => sum + seen[what], 0);
    expect(count("own")).toBeGreaterThan(SESSIONS);
    expect(count("operations")).toBeGreaterThan(SESSIONS);
    expect(count("snapshots")).toBe(editors.length);
    if (FULL) console.log({ own: count("own"), others: count("operations"), resent: count("resent") });
  });
});

describe("a call of CollaborativeEdit over PostgreSQL", () => {
  async function start() {
    const url = await freshDatabase();
    const server = await startReplica(url);
    const client = userClient(server);
    const { id } = await createUser(client, { profile: { bio: "ab" } });
    const presences = () => query(url, "SELECT FROM presences");
    /** Waits until nobody is there. */
    const left = async (): Promise<void> => {
      while ((await presences()).length > 0);
    };
    return { url, server, client, id, presences, left };
  }

  it("fails with UNAVAILABLE when the server stops, and goes on at another", async () => {
    const { url, server, client, id, left } = await start();
    const other = userClient(await startReplica(url));
    const editor = new Editor(id, callOf(client));
    editor.connect();
    await editor.until(() => editor.revision === 0);
    editor.edit(["x"]);
    await editor.until(() => editor.revision === 1);
    const stopped = server.server.stop();
    expect(toFailure(ConnectError.from(await editor.over))).toMatchObject({
      code: "Unavailable",
      reason: "SERVER_STOPPING",
    });
    await stopped;
    await left();
    await updateUser(other, { id, profile: { bio: "xaby" } }, "profile.bio");
    const again = new EditCallOfTest(other).open(id, 1);
    expect(await again.operation()).toMatchObject({ revision: 2, steps: [3, "y"] });
  });

  it("leaves nobody there when the client cancels it, or its time runs out", async () => {
    const { client, id, presences, left } = await start();
    const cancelled = new EditCallOfTest(client).open(id);
    await cancelled.snapshot();
    while ((await presences()).length === 0);
    cancelled.cancel();
    await left();
    const timed = new EditCallOfTest(client, { timeoutMs: 300 }).open(id);
    expect(await failureOf(timed.rest())).toMatchObject({ code: "DeadlineExceeded" });
    await left();
  });

  it.each<[string, (proxy: TcpProxy) => void]>([
    ["is lost", (proxy) => proxy.close()],
    [
      "falls silent",
      (proxy) => {
        proxy.judge = () => "hold";
      },
    ],
  ])("fails with UNAVAILABLE when the database %s, also where nobody says anything", async (_what, strike) => {
    const url = await freshDatabase();
    const proxy = await startTcpProxy(url);
    const client = userClient(await startReplica(proxy.url));
    const { id } = await createUser(client, { profile: { bio: "ab" } });
    const idle = new EditCallOfTest(client).open(id);
    await idle.snapshot();
    strike(proxy);
    expect(await failureOf(idle.rest())).toMatchObject({ code: "Unavailable", reason: "STORE_UNAVAILABLE" });
  });

  it.each(["before the transaction", "at its end"])(
    "fails with UNAVAILABLE when the database is lost %s, and what is sent again is applied once",
    async (moment) => {
      const url = await freshDatabase();
      const proxy = await startTcpProxy(url);
      const server = await startReplica(proxy.url);
      const client = userClient(server);
      const { id } = await createUser(client, { profile: { bio: "ab" } });
      const editor = new Editor(id, callOf(client));
      editor.connect();
      await editor.until(() => editor.revision === 0);
      cutAt(proxy, moment === "at its end" ? "COMMIT" : "lock_document", moment === "at its end");
      editor.edit(["x"]);
      expect(toFailure(ConnectError.from(await editor.over))).toMatchObject({
        code: "Unavailable",
        reason: "STORE_UNAVAILABLE",
      });
      proxy.judge = () => "pass";
      // Until the database is found again, the call fails again.
      for (editor.connect(); !editor.isSettled; ) {
        await editor.until(() => editor.isSettled || editor.failure !== undefined);
        if (!editor.isSettled) editor.connect();
      }
      expect([editor.text, editor.revision]).toEqual(["xab", 1]);
      expect((await getUser(client, id)).profile?.bio).toBe("xab");
      expect(await query(url, "SELECT FROM document_operations")).toHaveLength(1);
      await editor.disconnect();
    },
  );
});

/** Cuts the connection that sends this text, at once or when the answer comes. */
function cutAt(proxy: TcpProxy, what: string, atAnswer: boolean): void {
  proxy.judge = ({ text }) => {
    if (!text.includes(what)) return "pass";
    return atAnswer ? "cut at the answer" : "cut";
  };
}
