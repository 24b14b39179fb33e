import { createHash, randomUUID } from "node:crypto";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "../../src/gen/health/v1/health_pb.ts";
import { UploadFormat, type UploadUserDataResponse } from "../../src/gen/user/v1/upload_pb.ts";
import { publishedClient } from "../support/client.ts";
import { freshDatabase } from "../support/database.ts";
import { FULL } from "../support/full.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { chunkMessage, headerMessage, type UploadMessage } from "../user-service/upload-files.ts";

const MIB = 2 ** 20;
/** So that the garbage of a large heap does not hide what is kept. A heap that is too small ends the server. */
const SMALL_HEAP = ["--max-old-space-size=80"];
const FILE_BYTES = FULL ? 100 * MIB : MIB / 2;
/** Uploaded before: what the server needs the first time is not what is measured. */
const FIRST_BYTES = FULL ? MIB / 2 : MIB / 8;
const CHUNK_ROWS = 1000;
const BIO = "Writes notes on engines, and what they could do. ".repeat(4);
const HEADER = "email,name,age,tags,bio,metadata.team\n";

/** A part of a large file, which is made when it is needed: the rows of so many users. */
function rowsFrom(first: number, prefix: string): string {
  let rows = first === 0 ? HEADER : "";
  for (let number = first; number < first + CHUNK_ROWS; number++) {
    rows += `${prefix}${number}@example.com,"Name ${number}",${number % 100},one;two,"${BIO}",engine\n`;
  }
  return rows;
}

/** Uploads a file of at least so many bytes, none of which is kept here. */
async function uploadLarge(
  client: ReturnType<typeof publishedClient>,
  bytes: number,
  prefix: string,
): Promise<{ rows: number; response: UploadUserDataResponse }> {
  const hash = createHash("sha256");
  let size = 0;
  let rows = 0;
  for (; size < bytes; rows += CHUNK_ROWS) {
    const text = rowsFrom(rows, prefix);
    hash.update(text);
    size += text.length;
  }
  async function* messages(): AsyncGenerator<UploadMessage> {
    const header = { uploadId: randomUUID(), format: UploadFormat.CSV, sizeBytes: BigInt(size), sha256: hash.digest() };
    yield headerMessage(header);
    let offset = 0;
    for (let first = 0; first < rows; first += CHUNK_ROWS) {
      const text = rowsFrom(first, prefix);
      yield chunkMessage(offset, text);
      offset += text.length;
    }
  }
  return { rows, response: await client.uploadUserData(messages(), { timeoutMs: 3_000_000 }) };
}

/** The most memory that a server takes while something happens, in MiB more than before. */
async function growthDuring(server: ServerProcess, happening: () => Promise<unknown>): Promise<number> {
  await server.memoryInUse();
  const before = await server.residentMemory();
  return ((await server.peakMemory(happening)) - before) / MIB;
}

describe("a large upload", () => {
  it("takes little memory, however large it is", async () => {
    const server = await startServerProcess({ DATABASE_URL: await freshDatabase() }, SMALL_HEAP);
    const address = { address: `127.0.0.1:${server.port}` };
    const health = createClient(Health, createGrpcTransport({ baseUrl: `http://${address.address}` }));
    for await (const { status } of health.watch({})) {
      if (status === ServingStatus.SERVING) break;
    }
    const client = publishedClient(address);
    await uploadLarge(client, FIRST_BYTES, "first");
    const start = performance.now();
    const growth = await growthDuring(server, async () => {
      const { rows, response } = await uploadLarge(client, FILE_BYTES, "row");
      expect(response).toMatchObject({ rowCount: BigInt(rows), createdCount: BigInt(rows), failures: [] });
    });
    if (FULL) console.info("an upload of 100 MiB:", { growth, seconds: (performance.now() - start) / 1000 });
    expect(growth, "growth of the server's memory in MiB").toBeLessThan(FULL ? 64 : 32);
  });
});
