import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Client } from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "../../src/gen/health/v1/health_pb.ts";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { freshDatabase, query } from "../support/database.ts";
import { FULL } from "../support/full.ts";
import { startProcess } from "../support/process.ts";
import { chooseSeed, Random } from "../support/random.ts";
import { servingTestServer, userClient } from "../support/server.ts";
import { csvOf, summaryOf, upload } from "../user-service/upload-files.ts";
import { createUser, type UserClient, updateUser } from "../user-service/users.ts";

const KILLS = FULL ? 30 : 1;
const CANCELLATIONS = FULL ? 20 : 2;
/** Some batches more than are interrupted. */
const ROWS = FULL ? 20_000 : 800;
/** Between two looks at how far an upload is: less than one of its batches takes. */
const LOOK_MS = 3;

/** A file that creates users, changes some of them, and has rows that fail. */
const FILE = `${csvOf(ROWS)}${csvOf(ROWS / 4)
  .slice("email,name,age,tags\n".length)
  .replaceAll('"Name', '"Renamed')}nobody,N,,
row1@example.com,"Renamed 1",,
short
`;

/** Starts a replica on a database, in this process. */
async function startReplica(url: string): Promise<UserClient> {
  return userClient(await servingTestServer({ environment: { AUTH: "none", DATABASE_URL: url } }), null);
}

/** What an upload that nobody disturbs makes of an empty database. */
function undisturbed(): Promise<Outcome> {
  outcome ??= uploadUndisturbed();
  return outcome;
}

let outcome: Promise<Outcome> | undefined;

interface Outcome {
  readonly report: object;
  readonly state: object;
}

async function uploadUndisturbed(): Promise<Outcome> {
  const url = await freshDatabase();
  const report = summaryOf(await upload(await startReplica(url), FILE));
  return { report, state: await stateOf(url) };
}

/** Users and changes, but for what differs from run to run. */
async function stateOf(url: string): Promise<object> {
  const [state] = await query(
    url,
    `SELECT (SELECT md5(string_agg(concat_ws('|', email, email_key, name, age, tags, version), ',' ORDER BY email_key)) FROM users) AS users,
      (SELECT count(*) FROM users)::int AS count,
      (SELECT json_object_agg(kind, number) FROM (SELECT kind, count(*) AS number FROM changes GROUP BY kind) AS counts) AS changes,
      (SELECT count(*) FROM changes WHERE kind = 'created' AND NOT EXISTS (SELECT FROM users WHERE id = user_id))::int AS strangers`,
  );
  return state ?? expect.fail("there is no state");
}

const PROGRESS = "sum(created_count + updated_count + skipped_count + failed_count)";

/** What tells how many rows have been applied, over one connection, which is open until the test is finished. */
async function watchProgress(url: string): Promise<() => Promise<number>> {
  const client = new Client(url);
  await client.connect();
  onTestFinished(() => client.end());
  const statement = `SELECT coalesce(${PROGRESS}, 0)::int AS rows FROM uploads`;
  return async () => (await client.query<{ rows: number }>(statement)).rows[0]?.rows ?? 0;
}

/** Waits until so many rows have been applied, or the call is over; tells whether it came to that. */
async function applied(
  rows: number,
  progress: () => Promise<number>,
  call: { readonly isOver: boolean },
): Promise<boolean> {
  while (!call.isOver) {
    if ((await progress()) >= rows) return true;
    await setTimeout(LOOK_MS);
  }
  return false;
}

/** A call, and whether it is over. */
function watched(call: Promise<unknown>): { readonly isOver: boolean; readonly end: Promise<unknown> } {
  const state = { isOver: false, end: call.catch((error: unknown) => error) };
  void state.end.then(() => {
    state.isOver = true;
  });
  return state;
}

describe("an upload that is interrupted while its rows are applied", () => {
  it("goes on at another replica when its server is killed, and comes to the same end", async () => {
    const seed = chooseSeed();
    const random = new Random(seed);
    const expected = await undisturbed();
    let interrupted = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const url = await freshDatabase();
      const other = await startReplica(url);
      const service = startProcess({ AUTH: "none", DATABASE_URL: url });
      const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${await service.port}` });
      for await (const { status } of createClient(Health, transport).watch({})) {
        if (status === ServingStatus.SERVING) break;
      }
      const header = { uploadId: randomUUID() };
      const progress = await watchProgress(url);
      const call = watched(upload(createClient(UserService, transport), FILE, { header }));
      if (await applied(random.between(1, ROWS / 2), progress, call)) interrupted++;
      service.child.kill("SIGKILL");
      // At once: PostgreSQL may yet be at what the killed process has sent.
      const report = summaryOf(await upload(other, FILE, { header }));
      await call.end;
      const context = `SEED=${seed}, kill ${kill}`;
      expect(report, context).toEqual(expected.report);
      expect(await stateOf(url), context).toEqual(expected.state);
      expect(await service.exit).toBe("SIGKILL");
    }
    expect(interrupted, "kills while rows were being applied").toBeGreaterThan(0);
  });

  it("goes on when it is cancelled and sent again, however often, and comes to the same end", async () => {
    const seed = chooseSeed();
    const random = new Random(seed);
    const expected = await undisturbed();
    const url = await freshDatabase();
    const client = await startReplica(url);
    const header = { uploadId: randomUUID() };
    const progress = await watchProgress(url);
    let before = 0;
    for (let turn = 0; turn < CANCELLATIONS; turn++) {
      const cancelling = new AbortController();
      const call = watched(upload(client, FILE, { header, signal: cancelling.signal }));
      const came = await applied(before + random.between(1, ROWS / CANCELLATIONS / 2), progress, call);
      cancelling.abort();
      await call.end;
      expect(came, `SEED=${seed}, turn ${turn}`).toBe(true);
      before = await progress();
    }
    expect(summaryOf(await upload(client, FILE, { header })), `SEED=${seed}`).toEqual(expected.report);
    expect(await stateOf(url), `SEED=${seed}`).toEqual(expected.state);
  });

  it("comes to the same end when it is sent to two replicas at once", async () => {
    const expected = await undisturbed();
    const url = await freshDatabase();
    const clients = [await startReplica(url), await startReplica(url)];
    const header = { uploadId: randomUUID() };
    const reports = await Promise.all(clients.map((client) => upload(client, FILE, { header })));
    expect(reports.map(summaryOf)).toEqual([expected.report, expected.report]);
    expect(await stateOf(url)).toEqual(expected.state);
  });
});

describe("an upload that takes long", () => {
  it("lets others write in between", async () => {
    const url = await freshDatabase();
    const client = await startReplica(url);
    const user = await createUser(client, { email: "other@example.com" });
    const progress = await watchProgress(url);
    const rowsToCome = FULL ? ROWS : 1500;
    const call = watched(upload(client, csvOf(rowsToCome)));
    let between = 0;
    while (!call.isOver) {
      await updateUser(client, { id: user.id, name: `name ${between}` }, "name");
      const rows = await progress();
      if (rows > 0 && rows < rowsToCome) between++;
    }
    await call.end;
    expect(between, "changes between the first row and the last").toBeGreaterThan(1);
  });
});
