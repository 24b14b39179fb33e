import type { Bus } from "../../bus/bus.ts";
import { OutcomeUnknownError, StoreUnavailableError } from "../../domain/errors.ts";
import type { Documents, Submission } from "../../repository/documents.ts";
import type { Cancellable } from "../../repository/scope.ts";
import { CHANGES_TOPIC } from "../change-feed.ts";
import { topicOf } from "./document-log.ts";

/** So many operations are applied together at most. */
const MAX_BATCH = 100;

/** What is applied is several editors', so that none of them calls it off. */
const SCOPE: Cancellable = { signal: new AbortController().signal, timeoutMs: () => 8000 };

interface Waiting {
  readonly submission: Submission;
  resolve(revision: number): void;
  reject(error: unknown): void;
}

/**
 * Applies the operations of all editors of this process. Those that come to a document while others are being applied are applied
 * together afterwards, so that many editors cost little more than one.
 */
export class Submitters {
  readonly #documents: Documents;
  readonly #bus: Bus;
  /** Those waiting at each document that is being written. */
  readonly #busy = new Map<string, Waiting[]>();

  constructor(documents: Documents, bus: Bus) {
    this.#documents = documents;
    this.#bus = bus;
  }

  /** How many documents are being written. */
  get size(): number {
    return this.#busy.size;
  }

  /**
   * Applies an operation to the document of a user, and returns the revision that it has made. Operations are applied in the order in which
   * they are submitted. Fails as Documents.apply does; an operation whose outcome nobody knows may be submitted again, for it is applied once.
   */
  submit(userId: string, submission: Submission): Promise<number> {
    return new Promise((resolve, reject) => {
      const queue = this.#busy.get(userId);
      queue?.push({ submission, resolve, reject });
      if (queue === undefined) void this.#run(userId, [{ submission, resolve, reject }]);
    });
  }

  async #run(userId: string, queue: Waiting[]): Promise<void> {
    this.#busy.set(userId, queue);
    while (queue.length > 0) await this.#apply(userId, queue.splice(0, MAX_BATCH));
    this.#busy.delete(userId);
  }

  async #apply(userId: string, batch: readonly Waiting[]): Promise<void> {
    const submissions = batch.map(({ submission }) => submission);
    try {
      const outcomes = await this.#documents.apply(userId, submissions, SCOPE);
      for (const [index, { resolve, reject }] of batch.entries()) {
        const outcome = outcomes[index];
        if (outcome !== undefined && "revision" in outcome) resolve(outcome.revision);
        else reject(outcome?.error);
      }
    } catch (error) {
      for (const { reject } of batch) reject(repeatable(error));
    } finally {
      // Also after a failure, which may have taken effect.
      this.#bus.publish(topicOf(userId));
      this.#bus.publish(CHANGES_TOPIC);
    }
  }
}

/** The same error, but one that invites to try again where that does no harm. */
function repeatable(error: unknown): unknown {
  return error instanceof OutcomeUnknownError ? new StoreUnavailableError("the database has been lost", error) : error;
}
