import type { Bus } from "../../bus/bus.ts";
import { OutcomeUnknownError, StoreUnavailableError } from "../../domain/errors.ts";
import type { Documents, Outcome, Submission } from "../../repository/documents.ts";
import type { Cancellable } from "../../repository/scope.ts";
import { CHANGES_TOPIC } from "../change-feed.ts";
import { JointWrites } from "../joint-writes.ts";
import { topicOf } from "./document-log.ts";

/** An operation goes with those of others, so that no call calls it off. */
const SCOPE: Cancellable = { signal: new AbortController().signal, timeoutMs: () => 5000 };

/**
 * Applies the operations of all editors of this process. Those that come to a document while others are being applied
 * are applied together afterwards, so that many editors cost little more than one.
 */
export class DocumentEdits {
  readonly #writes: JointWrites<Submission, Outcome>;

  constructor(documents: Documents, bus: Bus) {
    this.#writes = new JointWrites(async (userId, submissions) => {
      try {
        return await documents.apply(userId, submissions, SCOPE);
      } finally {
        // Also after a failure, which may have taken effect.
        bus.publish(topicOf(userId));
        bus.publish(CHANGES_TOPIC);
      }
    });
  }

  /**
   * Applies an operation to the document of a user, and returns the revision that it has made. Operations are applied
   * in the order in which they are handed in. Fails as Documents.apply does, and with the error that is the outcome.
   *
   * @throws StoreUnavailableError if the outcome is not certain: applied again, the operation is applied once.
   */
  async apply(userId: string, submission: Submission): Promise<number> {
    const outcome = await this.#writes.write(userId, submission).catch((error: unknown) => {
      if (!(error instanceof OutcomeUnknownError)) throw error;
      throw new StoreUnavailableError("nobody can say whether the operation has been applied; send it again", error);
    });
    if ("error" in outcome) throw outcome.error;
    return outcome.revision;
  }
}
