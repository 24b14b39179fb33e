import { createHash, randomUUID } from "node:crypto";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { join } from "node:path";
import { SpoolUnavailableError } from "../../domain/errors.ts";

const CHUNK_BYTES = 64 * 1024;

/**
 * A file on its way through: it is written once, and then read as often as one likes. It has no name, and ends with the
 * process.
 */
export class Spool implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #hash = createHash("sha256");
  #size = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /**
   * Makes an empty one on the disk of a directory.
   *
   * @throws SpoolUnavailableError if that cannot be.
   */
  static async open(directory: string): Promise<Spool> {
    const path = join(directory, `upload-${randomUUID()}`);
    try {
      const file = await open(path, "wx+", 0o600);
      // From then on nobody else finds it, and nothing of it stays behind.
      await unlink(path).catch(async (error: unknown) => {
        await file.close();
        throw error;
      });
      return new Spool(file);
    } catch (error) {
      throw new SpoolUnavailableError(error);
    }
  }

  /** How many bytes there are. */
  get size(): number {
    return this.#size;
  }

  /**
   * Adds bytes at the end.
   *
   * @throws SpoolUnavailableError if the disk does not take them.
   */
  async add(bytes: Uint8Array): Promise<void> {
    try {
      await this.#file.appendFile(bytes);
    } catch (error) {
      throw new SpoolUnavailableError(error);
    }
    this.#hash.update(bytes);
    this.#size += bytes.length;
  }

  /** The SHA-256 of all bytes. */
  sha256(): Buffer {
    return this.#hash.copy().digest();
  }

  /** Reads all bytes, some at a time. Fails with the signal's reason once that is aborted. */
  async *read(signal: AbortSignal): AsyncGenerator<Buffer> {
    for (let position = 0; position < this.#size; ) {
      signal.throwIfAborted();
      const { bytesRead, buffer } = await this.#file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, position);
      if (bytesRead === 0) throw new Error("the spooled file has become shorter");
      yield buffer.subarray(0, bytesRead);
      position += bytesRead;
    }
  }

  /** Lets go of the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}
