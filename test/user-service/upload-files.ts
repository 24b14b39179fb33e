import { createHash, randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  UploadFormat,
  type UploadHeaderSchema,
  type UploadUserDataRequestSchema,
  type UploadUserDataResponse,
} from "../../src/gen/user/v1/upload_pb.ts";
import type { User } from "../../src/gen/user/v1/user_pb.ts";
import type { UserClient } from "./users.ts";

/** What makes a file one of JSON objects. */
export const NDJSON = { header: { format: UploadFormat.NDJSON } };

/** The summary of a report of no rows. */
export const NOTHING = { rows: 0, created: 0, updated: 0, skipped: 0, failed: 0, failures: [] };

export type UploadMessage = MessageInitShape<typeof UploadUserDataRequestSchema>;
export type Header = Exclude<MessageInitShape<typeof UploadHeaderSchema>, { $typeName: string }>;

/** How a file is sent, where it matters. */
export interface UploadOptions {
  /** What the header says in place of the truth. */
  readonly header?: Header;
  readonly chunkBytes?: number;
  readonly signal?: AbortSignal;
}

/** The header of a CSV file, with an id of its own. */
export function headerOf(file: string | Buffer, header: Header = {}): Header {
  const bytes = Buffer.from(file as string);
  return {
    uploadId: randomUUID(),
    format: UploadFormat.CSV,
    sizeBytes: BigInt(bytes.length),
    sha256: createHash("sha256").update(bytes).digest(),
    ...header,
  };
}

/** The messages that upload a file. */
export function messagesOf(file: string | Buffer, { header = {}, chunkBytes = 64 * 1024 }: UploadOptions = {}) {
  const bytes = Buffer.from(file as string);
  const messages: UploadMessage[] = [headerMessage(headerOf(file, header))];
  for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
    messages.push(chunkMessage(offset, bytes.subarray(offset, offset + chunkBytes)));
  }
  return messages;
}

export function headerMessage(header: Header): UploadMessage {
  return { part: { case: "header", value: header } };
}

export function chunkMessage(offset: number, data: string | Buffer): UploadMessage {
  return { part: { case: "chunk", value: { offset: BigInt(offset), data: Buffer.from(data as string) } } };
}

/** Sends messages, and then half-closes. */
export function send(
  client: UserClient,
  messages: readonly UploadMessage[],
  options: { readonly signal?: AbortSignal } = {},
): Promise<UploadUserDataResponse> {
  async function* requests(): AsyncGenerator<UploadMessage> {
    yield* messages;
  }
  return client.uploadUserData(requests(), options);
}

/** Uploads a file. */
export function upload(
  client: UserClient,
  file: string | Buffer,
  { signal, ...options }: UploadOptions = {},
): Promise<UploadUserDataResponse> {
  return send(client, messagesOf(file, options), signal && { signal });
}

/** What a report says: the counts, and the failures as `line field: REASON`. */
export function summaryOf(response: UploadUserDataResponse): object {
  const { rowCount, createdCount, updatedCount, skippedCount, failedCount, failures } = response;
  return {
    rows: Number(rowCount),
    created: Number(createdCount),
    updated: Number(updatedCount),
    skipped: Number(skippedCount),
    failed: Number(failedCount),
    failures: failures.map(({ line, field, reason }) => `${line} ${field}: ${reason}`),
  };
}

/** A CSV file of so many users, none like another. */
export function csvOf(count: number, prefix = "row"): string {
  const rows = Array.from(
    { length: count },
    (_, n) => `${prefix}${n}@example.com,"Name ${n}",${n % 100},tag${n % 7};x\n`,
  );
  return `email,name,age,tags\n${rows.join("")}`;
}

/** Everybody there is. */
export function everybody(client: UserClient): Promise<User[]> {
  return Array.fromAsync(client.listUsers({ streamAll: true }));
}
