import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { UploadFormat } from "../../src/gen/user/v1/upload_pb.ts";
import { freshDatabase, query } from "../support/database.ts";
import { failureOf } from "../support/errors.ts";
import { servingTestServer, startTestServer, userClient } from "../support/server.ts";
import {
  chunkMessage,
  everybody,
  headerMessage,
  headerOf,
  messagesOf,
  NDJSON,
  NOTHING,
  send,
  summaryOf,
  type UploadMessage,
  upload,
} from "./upload-files.ts";
import { createUser, emptyServices, startClient } from "./users.ts";

const emptyService = emptyServices();

const FILE = "email,name\nada@example.com,Ada\n";

describe("UploadUserData", () => {
  it.each<[string, readonly UploadMessage[], string]>([
    ["no message", [], "messages: STREAM_EMPTY"],
    ["a chunk first", [chunkMessage(0, FILE)], "messages[0].header: HEADER_MISSING"],
    ["two headers", [...messagesOf(FILE), headerMessage(headerOf(FILE))], "messages[2].header: HEADER_REPEATED"],
    ["a message with nothing in it", [...messagesOf(FILE), {}], "messages[2].part: REQUIRED"],
    [
      "an id that is no UUID",
      messagesOf(FILE, { header: { uploadId: "x" } }),
      "messages[0].header.upload_id: STRING_UUID",
    ],
    ["no format", messagesOf(FILE, { header: { format: 0 } }), "messages[0].header.format: ENUM_NOT_IN"],
    [
      "an unknown format",
      messagesOf(FILE, { header: { format: 9 as UploadFormat } }),
      "messages[0].header.format: ENUM_DEFINED_ONLY",
    ],
    ["a negative size", messagesOf(FILE, { header: { sizeBytes: -1n } }), "messages[0].header.size_bytes: INT64_GTE"],
    [
      "half a checksum",
      messagesOf(FILE, { header: { sha256: Buffer.alloc(16) } }),
      "messages[0].header.sha256: BYTES_LEN",
    ],
    ["a negative offset", [...messagesOf(FILE), chunkMessage(-1, "x")], "messages[2].chunk.offset: INT64_GTE"],
    [
      "a chunk beyond 1 MiB",
      messagesOf("x".repeat(2 ** 20 + 1), { chunkBytes: 2 ** 21 }),
      "messages[1].chunk.data: BYTES_MAX_LEN",
    ],
  ])("fails with INVALID_ARGUMENT for %s", async (_what, messages, violation) => {
    const client = await emptyService();
    const failure = await failureOf(send(client, messages));
    expect(failure).toMatchObject({ code: "InvalidArgument", violations: [violation] });
    expect(await everybody(client)).toEqual([]);
  });

  it.each([
    ["leaves bytes out", [0, 6]],
    ["comes twice", [0, 5, 5]],
    ["comes before another", [5, 0]],
  ])("fails with DATA_LOSS for a chunk that %s", async (_what, offsets) => {
    const client = await emptyService();
    const chunks = offsets.map((offset) => chunkMessage(offset, FILE.slice(offset, offset + 5)));
    const failure = await failureOf(send(client, [headerMessage(headerOf(FILE)), ...chunks]));
    expect(failure).toMatchObject({ code: "DataLoss", reason: "UPLOAD_DAMAGED" });
    expect(failure.message).toMatch(/^messages\[[123]\] begins at byte \d+, \d+ have arrived$/);
  });

  it("takes a file of the largest size, and fails with RESOURCE_EXHAUSTED at the header of a larger one", async () => {
    const client = await startClient({ UPLOAD_MAX_BYTES: String(FILE.length) });
    expect(summaryOf(await upload(client, FILE))).toMatchObject({ created: 1 });
    const { promise: answered, resolve } = Promise.withResolvers<void>();
    async function* requests(): AsyncGenerator<UploadMessage> {
      yield headerMessage(headerOf(`${FILE}\n`));
      // No half-close: the answer comes before.
      await answered;
    }
    const failure = await failureOf(client.uploadUserData(requests()).finally(resolve));
    expect(failure).toMatchObject({
      code: "ResourceExhausted",
      reason: "UPLOAD_TOO_LARGE",
      facts: { limit_bytes: String(FILE.length) },
    });
  });

  it("takes a file of no bytes for what it is", async () => {
    const client = await emptyService();
    expect(summaryOf(await upload(client, "", NDJSON))).toEqual(NOTHING);
    expect(await failureOf(upload(client, ""))).toMatchObject({ violations: ["file: COLUMN_MISSING"] });
  });

  it("is for admins and services", async () => {
    const server = await startTestServer();
    const failure = await failureOf(upload(userClient(server, { id: "ada", role: "user" }), FILE));
    expect(failure).toMatchObject({ code: "PermissionDenied", reason: "CALLER_NOT_ALLOWED" });
  });

  it("reports a JSON object whose facts have a key that is none, and does not repeat the key", async () => {
    const client = await emptyService();
    const rows = ["__proto__", "a b", "é"].map((key) => `{"email":"a@b","name":"A","metadata":{"${key}":"x"}}\n`);
    const { failures } = await upload(client, rows.join(""), NDJSON);
    expect(failures.map(({ line, field, reason }) => [Number(line), field, reason])).toEqual([
      [1, "metadata", "STRING_PATTERN"],
      [2, "metadata", "STRING_PATTERN"],
      [3, "metadata", "STRING_PATTERN"],
    ]);
    expect(JSON.stringify(failures.map(({ description }) => description))).not.toContain("__proto__");
  });

  it("reports a row that gives a user too many facts, together with those that are there", async () => {
    const client = await emptyService();
    const facts = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`fact${index}`, "x"]));
    await createUser(client, { email: "ada@example.com", name: "Ada", metadata: facts });
    const file = "email,name,metadata.fact1,metadata.other\nada@example.com,Ada,y,\nada@example.com,Ada,,x\n";
    expect(summaryOf(await upload(client, file))).toMatchObject({
      updated: 1,
      failures: ["3 metadata: MAP_MAX_PAIRS"],
    });
  });

  it("leaves no file behind, however it ends", async () => {
    const directory = await mkdtemp(join(tmpdir(), "spool-"));
    onTestFinished(() => rm(directory, { recursive: true }));
    const server = await startTestServer({ environment: { UPLOAD_DIRECTORY: directory } });
    const client = userClient(server);
    await upload(client, FILE);
    await failureOf(upload(client, FILE, { header: { sizeBytes: 1n } }));
    const cancelling = new AbortController();
    async function* requests(): AsyncGenerator<UploadMessage> {
      yield* messagesOf(FILE);
      cancelling.abort();
    }
    await failureOf(client.uploadUserData(requests(), cancelling));
    await server.logs.waitForCalls(3, "/UploadUserData");
    // A call may end while its file is being made.
    await expect.poll(() => readdir(directory)).toEqual([]);
  });

  it("fails with UNAVAILABLE, and logs why, if there is no place for the file", async () => {
    const server = await startTestServer({ environment: { UPLOAD_DIRECTORY: "/nowhere/at/all" } });
    expect(await failureOf(upload(userClient(server), FILE))).toMatchObject({
      code: "Unavailable",
      reason: "SPOOL_UNAVAILABLE",
      message: "the file cannot be kept now",
    });
    const [line] = await server.logs.waitForCalls(1, "/UploadUserData");
    expect(line?.err?.message).toContain("ENOENT");
  });

  it("logs nothing of what is in the file", async () => {
    const server = await servingTestServer({
      environment: { DATABASE_URL: await freshDatabase(), LOG_LEVEL: "trace" },
    });
    const client = userClient(server);
    const file =
      "email,name,username,bio\nsecret@example.com,Secret,,Secret\nsecret,Secret,Secret,Secret\nx@y,Secret\n";
    await upload(client, file);
    await failureOf(upload(client, `${file}"Secret`));
    await failureOf(upload(client, `Secret,${file}`));
    await failureOf(upload(client, file, { header: { sizeBytes: 1n } }));
    await server.logs.waitForCalls(4, "/UploadUserData");
    expect(server.logs.texts.join("").toLowerCase()).not.toContain("secret");
  });

  it("keeps nothing of what is in the file but in the users", async () => {
    const url = await freshDatabase();
    const client = userClient(await servingTestServer({ environment: { DATABASE_URL: url } }));
    await upload(client, "email,name,username\nsecret@example.com,Secret,\nsecret,Secret,Secret\nb@c,Secret,.Secret\n");
    const [row] = await query<{ text: string }>(url, "SELECT (SELECT json_agg(uploads)::text FROM uploads) AS text");
    expect(row?.text).toContain("STRING_PATTERN");
    expect(row?.text.toLowerCase()).not.toContain("secret");
  });
});
