import { InvalidInputError, OperationsExpiredError, RevisionUnknownError } from "../domain/errors.ts";
import {
  applyTo,
  beyondEnd,
  differenceOf,
  growthOf,
  lengthOf,
  normalize,
  reachOf,
  type TextOperation,
  transform,
} from "../domain/text-operation.ts";
import type { AppliedOperation, DocumentText, Outcome, Submission } from "./documents.ts";

/** A document as it is kept. */
export interface KeptDocument extends DocumentText {
  /** The revision up to which operations are no longer kept. */
  readonly expiredThrough: number;
}

/** So many steps, times the operations that these are to be done after, are worked out for one submission. */
const MAX_WORK = 200_000;

/** A submission on its way to the latest text. */
interface Edit {
  readonly submission: Submission;
  /** As it is to be done after the operations that have been passed over. */
  operation: TextOperation;
  /** By how much the text has grown since the base revision. */
  growth: number;
  outcome: Outcome | undefined;
}

/** The operation that tells of a change of the bio; undefined if it is as the document has it. */
export function catchUp({ revision, text }: DocumentText, bio: string): AppliedOperation | undefined {
  if (text === bio) return undefined;
  return { revision: revision + 1, operation: differenceOf(text, bio), userId: "", operationId: "" };
}

/**
 * Works out what becomes of submissions: told of the document and of its operations, it says what is to be added.
 * Whoever keeps the document reads and writes, and sees to it that nobody else changes it meanwhile.
 */
export class EditPlan {
  /** The operations to add, in their order. */
  readonly added: AppliedOperation[] = [];
  readonly #edits: readonly Edit[];
  readonly #since: number;
  #revision: number;
  #text: string;
  #changesUser = false;

  /**
   * `known` are the revisions of operations that have been applied, by their ids: at least those of the submissions.
   */
  constructor(document: KeptDocument, submissions: readonly Submission[], known: ReadonlyMap<string, number>) {
    this.#revision = document.revision;
    this.#text = document.text;
    this.#edits = submissions.map((submission) => toEdit(submission, document, known));
    const bases = this.#open.map(({ submission }) => submission.baseRevision);
    this.#since = Math.min(document.revision, ...bases);
  }

  /** The plan has to be told of the operations after this revision. */
  get since(): number {
    return this.#since;
  }

  /** The text afterwards. */
  get text(): DocumentText {
    return { revision: this.#revision, text: this.#text };
  }

  /** Whether the bio has to follow the text. */
  get changesUser(): boolean {
    return this.#changesUser;
  }

  /** Takes note of an operation that is kept. To be called in the order of the revisions, before `finish`. */
  passOver({ revision, operation }: AppliedOperation): void {
    const growth = growthOf(operation);
    for (const edit of this.#open) {
      if (edit.submission.baseRevision >= revision) continue;
      edit.operation = transform(edit.operation, operation);
      edit.growth += growth;
    }
  }

  /** Applies the submissions to the bio as it is, and returns what has become of them. */
  finish(bio: string): Outcome[] {
    const change = catchUp(this.text, bio);
    if (change !== undefined) this.#add(change, bio);
    const done = new Map<string, Outcome>();
    return this.#edits.map((edit) => {
      const { operationId } = edit.submission;
      const outcome = done.get(operationId) ?? edit.outcome ?? this.#apply(edit);
      if ("revision" in outcome) done.set(operationId, outcome);
      edit.outcome = outcome;
      return outcome;
    });
  }

  get #open(): Edit[] {
    return this.#edits.filter(({ outcome }) => outcome === undefined);
  }

  #apply(edit: Edit): Outcome {
    const { submission, operation, growth } = edit;
    try {
      if (reachOf(submission.operation) > lengthOf(this.#text) - growth) throw beyondEnd();
      const text = applyTo(this.#text, operation);
      this.#changesUser ||= text !== this.#text;
      const { userId, operationId } = submission;
      const revision = this.#revision + 1;
      edit.outcome = { revision };
      this.#add({ revision, operation, userId, operationId }, text);
      return edit.outcome;
    } catch (error) {
      return refusal(error);
    }
  }

  #add(applied: AppliedOperation, text: string): void {
    this.added.push(applied);
    this.#revision = applied.revision;
    this.#text = text;
    this.passOver(applied);
  }
}

function toEdit(submission: Submission, document: KeptDocument, known: ReadonlyMap<string, number>): Edit {
  const { operationId, baseRevision } = submission;
  const edit: Edit = { submission, operation: [], growth: 0, outcome: undefined };
  const revision = known.get(operationId);
  if (revision !== undefined) return { ...edit, outcome: { revision } };
  if (baseRevision > document.revision) return { ...edit, outcome: { error: new RevisionUnknownError() } };
  if (baseRevision < document.expiredThrough) return { ...edit, outcome: { error: new OperationsExpiredError() } };
  try {
    const operation = normalize(submission.operation);
    const work = operation.length * (document.revision - baseRevision);
    return work > MAX_WORK ? { ...edit, outcome: { error: new OperationsExpiredError() } } : { ...edit, operation };
  } catch (error) {
    return { ...edit, outcome: refusal(error) };
  }
}

/** The outcome for an operation that cannot be. */
function refusal(error: unknown): Outcome {
  if (error instanceof InvalidInputError) return { error };
  throw error;
}
