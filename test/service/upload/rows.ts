import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect } from "vitest";
import { InvalidInputError } from "../../../src/domain/errors.ts";
import { CreateUserRequestSchema } from "../../../src/gen/user/v1/user_service_pb.ts";
import { csvRows } from "../../../src/service/upload/csv.ts";
import type { FileRow } from "../../../src/service/upload/file-row.ts";
import { ndjsonRows } from "../../../src/service/upload/ndjson.ts";
import { utf8Chunks } from "../../../src/service/upload/utf8.ts";

/** What a row is: its line, and the request it makes, or what is wrong with it as `field: REASON`. */
export type Read = readonly [line: number, content: unknown];

/** Reads a CSV file that comes in pieces of so many bytes. */
export function readCsv(file: string | Buffer, pieceBytes?: number): Promise<Read[]> {
  return readAll(csvRows(utf8Chunks(pieces(file, pieceBytes))));
}

/** Reads a file of JSON objects that comes in pieces of so many bytes. */
export function readNdjson(file: string | Buffer, pieceBytes?: number): Promise<Read[]> {
  return readAll(ndjsonRows(utf8Chunks(pieces(file, pieceBytes))));
}

/** What is wrong with a file that must not be readable. */
export async function faultOf(reading: Promise<unknown>): Promise<string> {
  const error = await reading.then(
    () => expect.fail("the file could be read"),
    (reason: unknown) => reason,
  );
  return faultsIn(error)
    .map(({ field, reason, description }) => `${field}: ${reason}: ${description}`)
    .join("; ");
}

/** A request as a row makes it. */
export function request(fields: MessageInitShape<typeof CreateUserRequestSchema>): unknown {
  return create(CreateUserRequestSchema, fields);
}

async function readAll(rows: AsyncIterable<FileRow>): Promise<Read[]> {
  return Array.fromAsync(rows, (row) => [row.line, contentOf(row)] as const);
}

function contentOf(row: FileRow): unknown {
  try {
    return row.toRequest();
  } catch (error) {
    return faultsIn(error)
      .map(({ field, reason }) => `${field}: ${reason}`)
      .join("; ");
  }
}

function faultsIn(error: unknown): InvalidInputError["violations"] {
  if (error instanceof InvalidInputError) return error.violations;
  throw error;
}

async function* pieces(file: string | Buffer, bytes = 64 * 1024): AsyncGenerator<Buffer> {
  const whole = Buffer.from(file as string);
  for (let start = 0; start < whole.length; start += bytes) yield whole.subarray(start, start + bytes);
}
