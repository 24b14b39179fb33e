import { randomUUID } from "node:crypto";
import {
  applyChecked,
  applyTo,
  compose,
  normalize,
  splitAfter,
  type TextOperation,
  transformBoth,
} from "./text-operation.ts";

/** An operation that is with the service, or on its way there or back. */
export interface UnderWay {
  readonly id: string;
  /** What it is now, after what others have done. */
  readonly operation: TextOperation;
  /** What it was when it was first sent, and the revision of then. */
  readonly first: { readonly operation: TextOperation; readonly revision: bigint };
}

/** So many steps one message may have. */
export const MAX_STEPS = 1000;

/**
 * A text as its editor sees it, and how it relates to that of everybody, as docs/collaborative-edit.md describes it: at
 * most one operation is under way, and what is typed meanwhile is gathered for the next one.
 */
export class LocalDocument {
  #text = "";
  #revision: bigint | undefined;
  #underWay: UnderWay | undefined;
  #gathered: TextOperation = [];

  /** The text with all that was typed. */
  get text(): string {
    return this.#text;
  }

  /** The last revision that is known; undefined before the first snapshot, and when only a snapshot can help. */
  get revision(): bigint | undefined {
    return this.#revision;
  }

  /** What has been sent and has not come back. */
  get underWay(): UnderWay | undefined {
    return this.#underWay;
  }

  /** Whether all that was typed has come back. */
  get isSettled(): boolean {
    return this.#underWay === undefined && this.#gathered.length === 0;
  }

  /** Changes the text, as by typing. @throws RangeError if it cannot be changed so. */
  type(operation: TextOperation): void {
    this.#text = applyChecked(this.#text, operation);
    this.#gathered = compose(this.#gathered, normalize(operation));
  }

  /** Takes what is to be sent next, if there is something and nothing is under way. */
  depart(): UnderWay | undefined {
    if (this.#revision === undefined || this.#underWay !== undefined || this.#gathered.length === 0) return undefined;
    const [operation, rest] = splitAfter(this.#gathered, MAX_STEPS);
    this.#gathered = rest;
    this.#underWay = { id: randomUUID(), operation, first: { operation, revision: this.#revision } };
    return this.#underWay;
  }

  /**
   * Begins with another text. Returns what had been typed into the one before and cannot be told from what others did:
   * its text.
   */
  begin(revision: bigint, text: string): string | undefined {
    const lost = this.isSettled ? undefined : this.#text;
    this.#revision = revision;
    this.#text = text;
    this.#underWay = undefined;
    this.#gathered = [];
    return lost;
  }

  /** Gives the revision up: a snapshot must come. */
  forget(): void {
    this.#revision = undefined;
  }

  /**
   * Takes an operation that has been applied as the next revision. Returns what it does to the text here; undefined if
   * it is the one that was under way, whose text is here already.
   *
   * @throws RangeError if it is not the next one.
   */
  take(revision: bigint, id: string, applied: TextOperation): TextOperation | undefined {
    if (this.#revision === undefined || revision !== this.#revision + 1n) {
      throw new RangeError(`revision ${revision} does not follow ${this.#revision}`);
    }
    this.#revision = revision;
    if (id !== "" && id === this.#underWay?.id) {
      this.#underWay = undefined;
      return undefined;
    }
    let theirs = applied;
    if (this.#underWay !== undefined) {
      const [changed, operation] = transformBoth(theirs, this.#underWay.operation);
      this.#underWay = { ...this.#underWay, operation };
      theirs = changed;
    }
    [theirs, this.#gathered] = transformBoth(theirs, this.#gathered);
    this.#text = applyTo(this.#text, theirs);
    return theirs;
  }
}
