import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { type UploadProgress, upload } from "../../src/client/upload.ts";
import type { UploadUserDataRequest } from "../../src/gen/user/v1/upload_pb.ts";
import { createFake, failing, unavailable } from "../../src/testing/testing.ts";
import { publishedClient } from "../support/client.ts";
import { freshDatabase } from "../support/database.ts";
import { failureOf } from "../support/errors.ts";
import { lastingPort } from "../support/ports.ts";
import { servingTestServer, startTestServer } from "../support/server.ts";
import { csvOf, summaryOf } from "../user-service/upload-files.ts";

const FILE = csvOf(3);
const CREATED = { rows: 3, created: 3, updated: 0, skipped: 0, failed: 0, failures: [] };

/** A file that is removed after the test. */
async function fileOf(name: string, content: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "upload-test-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

/** The files that uploads keep meanwhile. */
async function spooled(): Promise<string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith("user-service-"));
}

async function* piecesOf(content: string): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += 7) yield Buffer.from(content.slice(at, at + 7));
}

describe("upload", () => {
  it.each([
    ["a path", () => fileOf("users.csv", FILE)],
    ["bytes", async () => Buffer.from(FILE)],
    ["a stream of Node", async () => piecesOf(FILE)],
    ["a stream of the web", async () => new Blob([FILE]).stream()],
  ])("imports %s", async (_, source) => {
    const client = publishedClient(await startTestServer());
    expect(summaryOf(await upload(client, await source(), { format: "csv" }))).toEqual(CREATED);
  });

  it("knows the format of a path by its end, and else wants it to be stated", async () => {
    const client = publishedClient(await startTestServer());
    const rows = `${JSON.stringify({ email: "ada@example.com", name: "Ada" })}\n`;
    expect(summaryOf(await upload(client, await fileOf("users.ndjson", rows)))).toMatchObject({ created: 1 });
    await expect(upload(client, Buffer.from(FILE))).rejects.toThrow(TypeError);
  });

  it("tells how far it is", async () => {
    const client = publishedClient(await startTestServer());
    const file = Buffer.from(csvOf(2000));
    const seen: UploadProgress[] = [];
    const uploadId = randomUUID();
    await upload(client, file, { format: "csv", uploadId, onProgress: (progress) => seen.push(progress) });
    expect(seen[0]).toEqual({ uploadId, sentBytes: 0, totalBytes: file.length, attempt: 1 });
    expect(seen.at(-1)).toEqual({ uploadId, sentBytes: file.length, totalBytes: file.length, attempt: 1 });
    expect(seen.length).toBeGreaterThan(2);
  });

  it("sends the same file with the same id again when the call breaks off", async () => {
    const seen: number[] = [];
    await using fake = await createFake({
      uploadUserData: [
        async (requests) => {
          for await (const { part } of requests) if (part.case === "chunk") throw unavailable();
          return {};
        },
        failing({ code: "UNKNOWN", reason: "OUTCOME_UNKNOWN" }),
        async (requests) => {
          await Array.fromAsync(requests);
          return { rowCount: 3n };
        },
      ],
    });
    const options = { format: "csv", onProgress: ({ attempt }: UploadProgress) => seen.push(attempt) } as const;
    expect(await upload(publishedClient(fake), piecesOf(FILE), options)).toMatchObject({ rowCount: 3n });
    expect(new Set(seen)).toEqual(new Set([1, 2, 3]));
    const parts = fake.calls.map(({ requests }) => (requests as UploadUserDataRequest[]).map(({ part }) => part));
    expect(parts[2]).toHaveLength(2);
    expect(parts[2]?.[0]?.value).toEqual(parts[0]?.[0]?.value);
  });

  it("gives up after as many attempts as it is told, and at once where another would not help", async () => {
    await using fake = await createFake({ uploadUserData: unavailable() });
    const client = publishedClient(fake);
    const options = { format: "csv", maxAttempts: 2 } as const;
    expect(await failureOf(upload(client, Buffer.from(FILE), options))).toMatchObject({ code: "Unavailable" });
    expect(fake.calls).toHaveLength(2);
    fake.script({ uploadUserData: failing({ code: "DATA_LOSS" }) });
    expect(await failureOf(upload(client, Buffer.from(FILE), options))).toMatchObject({ code: "DataLoss" });
    expect(fake.calls).toHaveLength(3);
  });

  it("ends with the caller's signal, and leaves no file behind", async () => {
    const before = await spooled();
    const client = publishedClient(await startTestServer());
    const signal = AbortSignal.abort();
    const aborted = { code: "Canceled" };
    expect(await failureOf(upload(client, piecesOf(FILE), { format: "csv", signal }))).toMatchObject(aborted);
    const leaving = new AbortController();
    const stalled = (async function* () {
      yield Buffer.from("email,name\n");
      leaving.abort();
      await new Promise(() => {});
    })();
    const options = { format: "csv", signal: leaving.signal } as const;
    expect(await failureOf(upload(client, stalled, options))).toMatchObject(aborted);
    const failing = (async function* () {
      yield Buffer.from("email,name\n");
      throw new Error("the source has failed");
    })();
    await expect(upload(client, failing, { format: "csv" })).rejects.toThrow("the source has failed");
    expect(await spooled()).toEqual(before);
  });

  it("ends with the caller's signal between two attempts", async () => {
    const leaving = new AbortController();
    await using fake = await createFake({
      async uploadUserData() {
        setImmediate(() => leaving.abort());
        throw failing({ code: "UNAVAILABLE", retryDelayMs: 60_000 });
      },
    });
    const call = upload(publishedClient(fake), Buffer.from(FILE), { format: "csv", signal: leaving.signal });
    await expect(call).rejects.toThrow("[canceled]");
  });

  it("goes on at another replica, and imports each row once", async () => {
    const environment = { DATABASE_URL: await freshDatabase() };
    const startReplica = (port: number) => servingTestServer({ environment: { ...environment, PORT: String(port) } });
    const replicas = [await startReplica(await lastingPort()), await startReplica(await lastingPort())];
    const client = publishedClient({ address: `ipv4:${replicas.map(({ address }) => address).join(",")}` });
    const stops: Promise<void>[] = [];
    const onProgress = ({ sentBytes, totalBytes, attempt }: UploadProgress) => {
      // Both in turn: one of them has the call.
      if (attempt !== 1 || sentBytes !== totalBytes) return;
      stops.push(
        (async () => {
          for (const { port, server } of replicas) {
            await server.stop();
            await startReplica(port);
          }
        })(),
      );
    };
    const file = Buffer.from(csvOf(4000));
    const report = await upload(client, file, { format: "csv", onProgress });
    await Promise.all(stops);
    expect(summaryOf(report)).toMatchObject({ rows: 4000, created: 4000, failed: 0 });
  });
});
