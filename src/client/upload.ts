import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type CallOptions, type Client, Code, ConnectError } from "@connectrpc/connect";
import {
  UploadFormat,
  type UploadUserDataRequestSchema,
  type UploadUserDataResponse,
} from "../gen/user/v1/upload_pb.ts";
import type { UserService } from "../gen/user/v1/user_service_pb.ts";
import { Backoff, isPassing } from "./backoff.ts";
import { openSource, type UploadSource } from "./upload-source.ts";

/** The part of a client that uploads. */
export type UploadingClient = Pick<Client<typeof UserService>, "uploadUserData">;

/** How far an upload is. */
export interface UploadProgress {
  /** With this id the same file can be sent again, and goes on where it was interrupted. */
  readonly uploadId: string;
  /** Bytes that have gone to the network in this attempt; what the service does with them follows when it has all. */
  readonly sentBytes: number;
  readonly totalBytes: number;
  /** Which attempt it is, from 1. */
  readonly attempt: number;
}

/** How a file is uploaded. The other options are those of each call; a timeout is that of one attempt. */
export interface UploadOptions extends Pick<CallOptions, "headers" | "signal" | "timeoutMs"> {
  /** The format of the file; may be left out for a path that ends with `.csv`, `.ndjson` or `.jsonl`. */
  readonly format?: "csv" | "ndjson";
  /**
   * Identifies the upload, a UUID; a new one by default. Sent again with the same one, a file goes on where it was
   * interrupted.
   */
  readonly uploadId?: string;
  /** How often the file is sent at most; 10 times by default. */
  readonly maxAttempts?: number;
  /** Is told how far it is: once before anything is sent, and then after each piece. */
  readonly onProgress?: (progress: UploadProgress) => void;
}

const MAX_ATTEMPTS = 10;

/**
 * Imports a file of users: a path, bytes, or a stream of bytes, which is kept in a temporary file meanwhile, because
 * its SHA-256 goes first. When the call breaks off, the file is sent again with the same id, to any replica: each row
 * is imported once.
 *
 * Resolves with the report, which also tells of rows that could not be imported.
 *
 * @throws TypeError if the format is not known.
 * @throws ConnectError if the file is refused, could not be sent in so many attempts, or the signal is aborted. What
 * the source throws is thrown as it is.
 */
export async function upload(
  client: UploadingClient,
  source: UploadSource,
  options: UploadOptions = {},
): Promise<UploadUserDataResponse> {
  try {
    return await send(client, source, options);
  } catch (error) {
    const { signal } = options;
    throw signal?.aborted ? ConnectError.from(signal.reason, Code.Canceled) : error;
  }
}

async function send(
  client: UploadingClient,
  source: UploadSource,
  options: UploadOptions,
): Promise<UploadUserDataResponse> {
  const { uploadId = randomUUID(), maxAttempts = MAX_ATTEMPTS, onProgress, headers, signal, timeoutMs } = options;
  const format = formatOf(source, options.format);
  await using file = await openSource(source, signal);
  const backoff = new Backoff();
  const { sizeBytes, sha256 } = file;
  const callOptions = {
    ...(headers && { headers }),
    ...(signal && { signal }),
    ...(timeoutMs !== undefined && { timeoutMs }),
  };
  const header = { uploadId, format, sizeBytes: BigInt(sizeBytes), sha256 };
  for (let attempt = 1; ; attempt++) {
    const tell = (sentBytes: number) => onProgress?.({ uploadId, sentBytes, totalBytes: sizeBytes, attempt });
    try {
      return await client.uploadUserData(messagesOf(header, file.read(), tell), callOptions);
    } catch (reason) {
      const error = ConnectError.from(reason);
      if (attempt >= maxAttempts || signal?.aborted || !isPassing(error)) throw error;
      await backoff.pause(error, signal ?? new AbortController().signal);
    }
  }
}

type Request = MessageInitShape<typeof UploadUserDataRequestSchema>;
type Header = Extract<NonNullable<Request["part"]>, { case: "header" }>["value"];

async function* messagesOf(
  header: Header,
  pieces: AsyncIterable<Uint8Array>,
  tell: (sentBytes: number) => void,
): AsyncGenerator<Request> {
  let offset = 0;
  tell(offset);
  yield { part: { case: "header", value: header } };
  for await (const data of pieces) {
    yield { part: { case: "chunk", value: { offset: BigInt(offset), data } } };
    offset += data.length;
    tell(offset);
  }
}

function formatOf(source: UploadSource, stated: "csv" | "ndjson" | undefined): UploadFormat {
  const name = stated ?? (typeof source === "string" || source instanceof URL ? extensionOf(String(source)) : "");
  if (name === "csv") return UploadFormat.CSV;
  if (name === "ndjson" || name === "jsonl") return UploadFormat.NDJSON;
  throw new TypeError("the format of the file must be stated: csv or ndjson");
}

function extensionOf(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1).toLowerCase();
}
