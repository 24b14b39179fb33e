import { InvalidInputError, invalidInput } from "../../domain/errors.ts";
import type {
  CollaborativeEditRequest,
  EditCursor,
  EditOperation,
  OpenDocument,
} from "../../gen/user/v1/collaborative_edit_pb.ts";
import type { Bell } from "../bell.ts";

/** So many operations of an editor are under way at most; until one comes back, nothing more is read from them. */
const MAX_UNDER_WAY = 8;

/** What becomes of the requests of an editor. */
export interface EditorActions {
  /** Applies an operation, and returns the revision that it has made. */
  apply(operation: EditOperation): Promise<number>;
  /** Shows where the editor is. */
  move(cursor: EditCursor): void;
}

/** The document that the first request opens. */
export async function readOpen(requests: AsyncIterator<CollaborativeEditRequest>): Promise<OpenDocument> {
  const { done, value } = await requests.next();
  if (done) throw invalidInput("messages", "STREAM_EMPTY", "must hold at least one message");
  if (value.request.case === "open") return value.request.value;
  throw invalidInput("messages[0]", "OPEN_MISSING", "must open a document");
}

/**
 * The requests of an editor after the first, which are carried out as they come. The bell rings when something has
 * become of them that the editor waits for.
 */
export class EditorRequests {
  readonly #requests: AsyncIterator<CollaborativeEditRequest>;
  readonly #actions: EditorActions;
  readonly #bell: Bell;
  /** How many operations are being applied. */
  #applying = 0;
  /** The revisions of those that have been applied, and have not come back. */
  #applied: number[] = [];
  #failure: { readonly error: unknown } | undefined;
  #halfClosed = false;
  #closed = false;
  #onRoom: (() => void) | undefined;

  constructor(requests: AsyncIterator<CollaborativeEditRequest>, actions: EditorActions, bell: Bell) {
    this.#requests = requests;
    this.#actions = actions;
    this.#bell = bell;
    void this.#read();
  }

  /**
   * Takes note that the editor has been told of all operations up to a revision. Returns whether that is all that the
   * editor will ever wait for: no more requests come, and all operations have come back.
   *
   * @throws what a request has failed with.
   */
  cameBack(revision: number): boolean {
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#applied = this.#applied.filter((own) => own > revision);
    if (this.#underWay < MAX_UNDER_WAY) this.#onRoom?.();
    return this.#halfClosed && this.#underWay === 0;
  }

  /** Reads no more. What is being applied may yet take effect. */
  close(): void {
    this.#closed = true;
    this.#onRoom?.();
  }

  get #underWay(): number {
    return this.#applying + this.#applied.length;
  }

  async #read(): Promise<void> {
    try {
      // The first message has opened the document.
      for (let index = 1; !this.#closed && this.#failure === undefined; index++) {
        const { done, value } = await this.#requests.next();
        if (done || this.#closed || this.#failure !== undefined) break;
        this.#carryOut(value, index);
        await this.#room();
      }
      this.#halfClosed = true;
      this.#bell.ring();
    } catch (error) {
      this.#fail(error);
    }
  }

  #carryOut({ request }: CollaborativeEditRequest, index: number): void {
    if (request.case === "open")
      throw invalidInput(`messages[${index}].open`, "OPEN_AGAIN", "must be the first message only");
    if (request.case === "cursor") this.#actions.move(request.value);
    if (request.case === "operation") void this.#apply(request.value, index);
  }

  async #apply(operation: EditOperation, index: number): Promise<void> {
    this.#applying++;
    try {
      const revision = await this.#actions.apply(operation);
      this.#applied.push(revision);
    } catch (error) {
      this.#fail(error instanceof InvalidInputError ? error.in(`messages[${index}]`) : error);
    } finally {
      this.#applying--;
      this.#bell.ring();
    }
  }

  async #room(): Promise<void> {
    while (this.#underWay >= MAX_UNDER_WAY && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#onRoom = resolve;
      });
    }
    this.#onRoom = undefined;
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#bell.ring();
  }
}
