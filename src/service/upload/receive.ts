import { invalidInput, UploadDamagedError, UploadTooLargeError } from "../../domain/errors.ts";
import type { UploadHeader, UploadUserDataRequest } from "../../gen/user/v1/upload_pb.ts";
import { Spool } from "./spool.ts";

/** How files are taken in. */
export interface SpoolOptions {
  /** Where files are kept while they are imported. */
  readonly directory: string;
  /** The size of the largest one. */
  readonly maxBytes: number;
}

/** A file that has arrived. Whoever has it disposes of the spool. */
export interface ReceivedFile {
  readonly header: UploadHeader;
  readonly spool: Spool;
}

/**
 * Receives a file, all of it, and as it was announced.
 *
 * @throws InvalidInputError if the messages do not come in their order.
 * @throws UploadTooLargeError, already at the header.
 * @throws UploadDamagedError as soon as it shows that the file is another.
 * @throws SpoolUnavailableError if the disk does not take it.
 */
export async function receiveFile(
  requests: AsyncIterable<UploadUserDataRequest>,
  { directory, maxBytes }: SpoolOptions,
): Promise<ReceivedFile> {
  const messages = requests[Symbol.asyncIterator]();
  const header = headerOf(await messages.next());
  if (header.sizeBytes > maxBytes) throw new UploadTooLargeError(maxBytes);
  const spool = await Spool.open(directory);
  try {
    await receiveChunks(messages, header, spool);
    return { header, spool };
  } catch (error) {
    await spool[Symbol.asyncDispose]();
    throw error;
  }
}

function headerOf({ done, value }: IteratorResult<UploadUserDataRequest>): UploadHeader {
  if (done) throw invalidInput("messages", "STREAM_EMPTY", "must hold at least one message");
  if (value.part.case === "header") return value.part.value;
  throw invalidInput("messages[0].header", "HEADER_MISSING", "must be set in the first message");
}

async function receiveChunks(
  messages: AsyncIterator<UploadUserDataRequest>,
  { sizeBytes, sha256 }: UploadHeader,
  spool: Spool,
): Promise<void> {
  for (let index = 1; ; index++) {
    const { done, value } = await messages.next();
    if (done) break;
    const { part } = value;
    if (part.case !== "chunk") {
      throw invalidInput(`messages[${index}].header`, "HEADER_REPEATED", "must be set in the first message alone");
    }
    const { offset, data } = part.value;
    if (offset !== BigInt(spool.size)) {
      throw new UploadDamagedError(`messages[${index}] begins at byte ${offset}, ${spool.size} have arrived`);
    }
    if (spool.size + data.length > sizeBytes) {
      throw new UploadDamagedError(`the header says ${sizeBytes} bytes, more have arrived`);
    }
    await spool.add(data);
  }
  if (BigInt(spool.size) !== sizeBytes) {
    throw new UploadDamagedError(`the header says ${sizeBytes} bytes, ${spool.size} have arrived`);
  }
  if (!spool.sha256().equals(sha256)) throw new UploadDamagedError("the SHA-256 is not the one that the header says");
}
