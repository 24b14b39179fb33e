import type { LimitFunction } from "p-limit";
import type { Bus } from "../../bus/bus.ts";
import type { CollaborativeEditResponse } from "../../gen/user/v1/collaborative_edit_pb.ts";
import type { Documents, DocumentText } from "../../repository/documents.ts";
import type { Cancellable } from "../../repository/scope.ts";
import type { Log } from "../tail.ts";
import type { UserChanges } from "../user-changes.ts";
import { operationEvent } from "./edit-messages.ts";

/** The topic of the bus on which operations of a document are published, and that of those who are at it. */
export function topicOf(userId: string): string {
  return `document:${userId}`;
}

/** The text as of now. Everybody hears of it if reading it has turned a change of the bio into an operation. */
export async function readDocument(
  documents: Documents,
  bus: Bus,
  userId: string,
  scope: Cancellable,
): Promise<DocumentText> {
  const document = await documents.read(userId, scope);
  if (document.caughtUp) bus.publish(topicOf(userId));
  return document;
}

/** A look at a bio is for all editors of a document, so that none of them calls it off. */
const SCOPE: Cancellable = { signal: new AbortController().signal, timeoutMs: () => 2000 };

/** What a log of operations takes. */
export interface DocumentLogParts {
  readonly documents: Documents;
  readonly bus: Bus;
  readonly userChanges: UserChanges;
  /** Does some of the looks at bios at a time, of all documents: after an outage, all of them are due. */
  readonly inTurn: LimitFunction;
}

/**
 * The operations of a document as a log of the events that tell of them. A change of the bio by other methods becomes
 * an operation when the log is next asked, which is soon where somebody follows it.
 */
export class DocumentLog implements Log<CollaborativeEditResponse> {
  readonly #userId: string;
  readonly #parts: DocumentLogParts;
  /** Whether the bio may be other than the text. */
  #mayDiffer = false;
  /** For all who ask meanwhile. */
  #catchingUp: Promise<void> | undefined;

  constructor(userId: string, parts: DocumentLogParts) {
    this.#userId = userId;
    this.#parts = parts;
  }

  async latest(scope: Cancellable): Promise<number> {
    await this.#catchUp();
    return this.#parts.documents.latest(this.#userId, scope);
  }

  async list(
    page: { readonly after: number; readonly limit: number },
    scope: Cancellable,
  ): Promise<CollaborativeEditResponse[]> {
    await this.#catchUp();
    return (await this.#parts.documents.list(this.#userId, page, scope)).map(operationEvent);
  }

  positionOf({ event }: CollaborativeEditResponse): number {
    return event.case === "operation" ? Number(event.value.revision) : 0;
  }

  follow(wake: () => void): () => void {
    const { bus, userChanges } = this.#parts;
    const unfollow = bus.follow(topicOf(this.#userId), wake);
    const unwatch = userChanges.watch(this.#userId, () => {
      this.#mayDiffer = true;
      wake();
    });
    return () => {
      unfollow();
      unwatch();
    };
  }

  async #catchUp(): Promise<void> {
    if (this.#mayDiffer) this.#catchingUp ??= this.#look();
    await this.#catchingUp;
  }

  async #look(): Promise<void> {
    const { documents, bus, inTurn } = this.#parts;
    this.#mayDiffer = false;
    try {
      await inTurn(() => readDocument(documents, bus, this.#userId, SCOPE));
    } catch (error) {
      this.#mayDiffer = true;
      throw error;
    } finally {
      this.#catchingUp = undefined;
    }
  }
}
