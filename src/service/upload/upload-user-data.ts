import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  UploadFormat,
  type UploadHeader,
  type UploadUserDataRequest,
  type UploadUserDataResponse,
  UploadUserDataResponseSchema,
} from "../../gen/user/v1/upload_pb.ts";
import type { UserService } from "../../gen/user/v1/user_service_pb.ts";
import type { ImportReport, Imports } from "../../repository/imports.ts";
import { callerOf } from "../permission.ts";
import { writeScope } from "../write-scope.ts";
import { csvRows } from "./csv.ts";
import type { FileRow } from "./file-row.ts";
import { toImportRow } from "./import-row.ts";
import { importRows } from "./import-rows.ts";
import { ndjsonRows } from "./ndjson.ts";
import { receiveFile, type SpoolOptions } from "./receive.ts";
import type { Spool } from "./spool.ts";
import type { UploadIdentity } from "./upload-identity.ts";
import { utf8Chunks } from "./utf8.ts";

/** What uploading users takes. */
export interface UploadUserDataParts {
  readonly imports: Imports;
  readonly identifyUpload: UploadIdentity;
  readonly spooling: SpoolOptions;
  /** Called whenever users have changed, or may have. */
  readonly announce: () => void;
}

/** Makes the RPC that imports a file of users. */
export function createUploadUserData(
  parts: UploadUserDataParts,
): Pick<ServiceImpl<typeof UserService>, "uploadUserData"> {
  const { imports, identifyUpload, spooling, announce } = parts;

  async function uploadUserData(
    requests: AsyncIterable<UploadUserDataRequest>,
    context: HandlerContext,
  ): Promise<UploadUserDataResponse> {
    const caller = callerOf(context);
    const { header, spool: received } = await receiveFile(requests, spooling);
    await using spool = received;
    const read = () => readRows(header, spool, context.signal);
    // Once through all of it, so that nothing is imported of a file that cannot be read to its end.
    for await (const _ of read());
    const importParts = { imports, announce, toImportRow: (row: FileRow) => toImportRow(row, caller) };
    const report = await importRows(read(), identifyUpload(caller.id, header), importParts, writeScope(context));
    return toResponse(header, report);
  }

  return { uploadUserData };
}

function readRows({ format }: UploadHeader, spool: Spool, signal: AbortSignal): AsyncIterable<FileRow> {
  const chunks = utf8Chunks(spool.read(signal));
  return format === UploadFormat.CSV ? csvRows(chunks) : ndjsonRows(chunks);
}

function toResponse({ uploadId }: UploadHeader, report: ImportReport): UploadUserDataResponse {
  const { created, updated, skipped, failed, failures } = report;
  return create(UploadUserDataResponseSchema, {
    uploadId,
    rowCount: BigInt(created + updated + skipped + failed),
    createdCount: BigInt(created),
    updatedCount: BigInt(updated),
    skippedCount: BigInt(skipped),
    failedCount: BigInt(failed),
    failures: failures.map(({ line, ...fault }) => ({ ...fault, line: BigInt(line) })),
  });
}
