import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { createClient } from "@connectrpc/connect";
import { PG_MIGRATE_LOCK_ID } from "node-pg-migrate";
import { Client } from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "../../../src/gen/health/v1/health_pb.ts";
import { migrate } from "../../../src/repository/postgres/migrate.ts";
import { emptyDatabase, freshDatabase, query } from "../../support/database.ts";
import { newUsers, startTestServer, streamOf, transportTo, userClient } from "../../support/server.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import { createOne, everybody } from "../suite/drafts.ts";
import { servingStore } from "./serving-store.ts";

const REPLICAS = 8;
const WAIT = { interval: 10, timeout: 10_000 };

describe("the migrations", () => {
  it("never change, because databases have applied them", async () => {
    const sums = await sumsOfFiles();
    const changed = (await recordedSums()).filter(([path, sum]) => sums.get(path) !== sum).map(([path]) => path);
    expect(changed, "What shall change goes into a new migration. These differ from what was recorded").toEqual([]);
  });

  it("are all recorded, in their order", async () => {
    const recorded = (await recordedSums()).map(([path]) => path);
    const unrecorded = [...(await sumsOfFiles()).keys()].filter((path) => !recorded.includes(path));
    const advice = `Record what is new: sha256sum ${unrecorded.join(" ")} >> test/migrations.sha256`;
    expect(unrecorded, advice).toEqual([]);
    expect(recorded, "a new migration comes after those that have been applied").toEqual(sorted(recorded));
  });

  it("are applied once, and named when they are", async () => {
    const url = await emptyDatabase();
    const names = await namesOfFiles();
    expect(await migrate(url)).toEqual(names);
    expect(await migrate(url)).toEqual([]);
    expect(await appliedTo(url)).toEqual(names);
  });

  it("are applied once when many replicas start at a time on an empty database", async () => {
    const url = await emptyDatabase();
    const stores = await Promise.all(Array.from({ length: REPLICAS }, () => servingStore(url)));
    expect(await appliedTo(url)).toEqual(await namesOfFiles());
    expect(new Set(stores.map((store) => Buffer.from(store.sharedKey()).toString("hex"))).size, "keys").toBe(1);

    await Promise.all(stores.map(({ users }, index) => createOne(users, `user${index}@example.com`)));
    for (const { users } of stores) expect(await everybody(users)).toHaveLength(REPLICAS);
  });

  it("make nobody wait for another who has nothing to apply", async () => {
    const url = await freshDatabase();
    const other = new Client({ connectionString: url });
    onTestFinished(() => other.end());
    await other.connect();
    await other.query(`SELECT pg_advisory_lock(${PG_MIGRATE_LOCK_ID})`);
    expect(await migrate(url)).toEqual([]);
  });

  it("take no connection of their own where there is nothing to apply", async () => {
    const proxy = await startTcpProxy(await freshDatabase());
    await servingStore(proxy.url);
    expect(proxy.connections).toBe(1);
  });

  it("are not begun when they have been called off", async () => {
    const url = await emptyDatabase();
    await expect(migrate(url, AbortSignal.abort(new Error("called off")))).rejects.toThrow("called off");
    expect(await tablesOf(url)).toEqual([]);
  });

  it("leave alone the database of a later version", async () => {
    const url = await emptyDatabase();
    const { users } = await servingStore(url);
    const user = await createOne(users, "ada@example.com");
    await query(url, "INSERT INTO migrations (name, run_on) VALUES ('9999_later', now())");

    const { users: older } = await servingStore(url);
    expect(await everybody(older)).toEqual([user]);
    expect(await appliedTo(url)).toEqual([...(await namesOfFiles()), "9999_later"]);
  });
});

describe("a migration that fails", () => {
  it("leaves nothing behind, and the server NOT_SERVING until it succeeds", async () => {
    const url = await emptyDatabase();
    await query(url, "CREATE TABLE changes ()");
    const server = await startTestServer({ environment: { DATABASE_URL: url } });
    const causes = () => server.logs.lines.map(({ err }) => err?.message).join();
    await expect.poll(causes, WAIT).toContain('relation "changes" already exists');
    const health = createClient(Health, transportTo(server, null)).watch({})[Symbol.asyncIterator]();
    expect((await health.next()).value).toMatchObject({ status: ServingStatus.NOT_SERVING });
    expect(await tablesOf(url)).toEqual(["changes", "migrations"]);
    expect(await appliedTo(url)).toEqual([]);

    await query(url, "DROP TABLE changes");
    expect((await health.next()).value).toMatchObject({ status: ServingStatus.SERVING });
    expect(await appliedTo(url)).toEqual(await namesOfFiles());
    const { createdCount } = await userClient(server).createUsers(streamOf(...newUsers(3)));
    expect(createdCount).toBe(3);
    await health.return?.();
  });

  it("leaves no connection open", async () => {
    const url = await emptyDatabase();
    await query(url, "CREATE TABLE changes ()");
    for (let attempt = 0; attempt < 5; attempt++) await expect(migrate(url)).rejects.toThrow("already exists");
    const open = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    await expect.poll(() => query(url, open), WAIT).toEqual([]);
  });
});

/** SHA-256 sums and paths, in the form of `sha256sum --check`. */
async function recordedSums(): Promise<[path: string, sum: string][]> {
  const text = await readFile("test/migrations.sha256", "utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [sum = "", path = ""] = line.split("  ");
      return [path, sum];
    });
}

async function sumsOfFiles(): Promise<Map<string, string>> {
  const paths = sorted(await readdir("migrations")).map((name) => `migrations/${name}`);
  const contents = await Promise.all(paths.map((path) => readFile(path)));
  return new Map(paths.map((path, index) => [path, sha256(contents[index] ?? expect.fail("there is no content"))]));
}

function sorted(names: readonly string[]): string[] {
  return names.toSorted((one, other) => (one < other ? -1 : 1));
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The names by which a database notes that it has applied them. */
async function namesOfFiles(): Promise<string[]> {
  return sorted(await readdir("migrations")).map((name) => name.replace(/\.sql$/, ""));
}

async function appliedTo(url: string): Promise<string[]> {
  const rows = await query<{ name: string }>(url, "SELECT name FROM migrations ORDER BY id");
  return rows.map(({ name }) => name);
}

async function tablesOf(url: string): Promise<string[]> {
  const tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename";
  return (await query<{ tablename: string }>(url, tables)).map(({ tablename }) => tablename);
}
