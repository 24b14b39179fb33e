import { OperationsExpiredError, RevisionUnknownError } from "../../domain/errors.ts";
import type { CollaborativeEditResponse } from "../../gen/user/v1/collaborative_edit_pb.ts";
import type { DocumentText } from "../../repository/documents.ts";
import type { Cancellable } from "../../repository/scope.ts";
import type { Cursor } from "../tail.ts";
import { snapshotEvent } from "./edit-messages.ts";

/** How a document is read. */
export interface DocumentSource {
  read(scope: Cancellable): Promise<DocumentText>;
  /** Opens a cursor after a revision. */
  open(revision: number): Cursor<CollaborativeEditResponse>;
}

/**
 * What one editor is told of a document: operations in their order, and the whole text where it cannot be told in
 * these.
 */
export class DocumentReader {
  readonly #source: DocumentSource;
  #cursor: Cursor<CollaborativeEditResponse> | undefined;

  /** Begins with the whole text. */
  constructor(source: DocumentSource) {
    this.#source = source;
  }

  /** The revision that has been reached. */
  get revision(): number {
    return this.#cursor?.position ?? 0;
  }

  /**
   * Goes on after a revision instead.
   *
   * @throws RevisionUnknownError if there is no such revision yet.
   */
  async resume(afterRevision: number, scope: Cancellable): Promise<void> {
    const { revision } = await this.#source.read(scope);
    if (afterRevision > revision) throw new RevisionUnknownError();
    this.#cursor = this.#source.open(afterRevision);
  }

  /** What comes next; nothing if there is nothing yet. What is told to many is the same array. */
  async take(scope: Cancellable): Promise<readonly CollaborativeEditResponse[]> {
    if (this.#cursor === undefined) return this.#snapshot(scope);
    try {
      return await this.#cursor.take(scope);
    } catch (error) {
      if (error instanceof OperationsExpiredError) return this.#snapshot(scope);
      throw error;
    }
  }

  close(): void {
    this.#cursor?.close();
  }

  async #snapshot(scope: Cancellable): Promise<CollaborativeEditResponse[]> {
    const document = await this.#source.read(scope);
    this.#cursor?.close();
    this.#cursor = this.#source.open(document.revision);
    return [snapshotEvent(document)];
  }
}
