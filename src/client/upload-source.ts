import { createHash } from "node:crypto";
import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What can be uploaded: the path of a file, its bytes, or a stream of them, such as one of Node or of the web. */
export type UploadSource = string | URL | Uint8Array | AsyncIterable<Uint8Array>;

/** A file that can be read as often as need be. */
export interface OpenSource extends AsyncDisposable {
  readonly sizeBytes: number;
  readonly sha256: Uint8Array;
  /** The file from its beginning, in pieces. */
  read(): AsyncIterable<Uint8Array>;
}

/** Large enough to cost little, and small enough for progress to be seen. */
const PIECE_BYTES = 64 * 1024;

/**
 * Opens what is to be uploaded, and reads it once, for its size and SHA-256. A file must not change until it is
 * disposed of.
 *
 * @throws what the source or the file system throws; and the signal's reason, when it is aborted.
 */
export async function openSource(source: UploadSource, signal: AbortSignal | undefined): Promise<OpenSource> {
  if (source instanceof Uint8Array) return openBytes(source);
  if (typeof source === "string" || source instanceof URL) return openFile(await open(source), signal);
  return openFile(await spool(source, signal), signal);
}

function openBytes(bytes: Uint8Array): OpenSource {
  return {
    sizeBytes: bytes.length,
    sha256: createHash("sha256").update(bytes).digest(),
    async *read() {
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
    },
    async [Symbol.asyncDispose]() {},
  };
}

async function openFile(file: FileHandle, signal: AbortSignal | undefined): Promise<OpenSource> {
  try {
    const hash = createHash("sha256");
    let sizeBytes = 0;
    for await (const piece of piecesOf(file)) {
      signal?.throwIfAborted();
      hash.update(piece);
      sizeBytes += piece.length;
    }
    return {
      sizeBytes,
      sha256: hash.digest(),
      read: () => piecesOf(file),
      [Symbol.asyncDispose]: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function* piecesOf(file: FileHandle): AsyncGenerator<Uint8Array> {
  for (let position = 0; ; ) {
    // A new buffer each time: what was handed out may not have been sent yet.
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.allocUnsafe(PIECE_BYTES), position });
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Writes a stream to a file without a name, which is gone when it is closed, whatever becomes of this process. */
async function spool(stream: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): Promise<FileHandle> {
  const folder = await mkdtemp(join(tmpdir(), "user-service-"));
  try {
    const file = await open(join(folder, "upload"), "wx+", 0o600);
    try {
      for await (const piece of untilAborted(stream, signal)) await file.writeFile(piece);
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The items of a source until the signal is aborted, also while one is awaited that never comes. */
async function* untilAborted<T>(items: AsyncIterable<T>, signal: AbortSignal | undefined): AsyncGenerator<T> {
  const source = items[Symbol.asyncIterator]();
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal?.reason);
  aborted.promise.catch(() => {});
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  try {
    for (;;) {
      const { done, value } = await Promise.race([aborted.promise, source.next()]);
      if (done) return;
      yield value;
    }
  } finally {
    signal?.removeEventListener("abort", abort);
    // A source that waits cannot be waited for.
    source.return?.().then(undefined, () => {});
  }
}
