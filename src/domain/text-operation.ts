import { type } from "ot-text-unicode";
import { type InvalidInputError, invalidInput } from "./errors.ts";

/**
 * One step of an operation, from where the one before ended: a number leaves so many code points as they are, a text is
 * inserted, and `d` deletes so many code points.
 */
export type TextStep = number | string | { readonly d: number };

/** A change of a text, from its beginning on. What follows the last step stays. */
export type TextOperation = readonly TextStep[];

type TextOp = Parameters<typeof type.apply>[1];

/** How long a text may be, in bytes of UTF-8. */
export const MAX_TEXT_BYTES = 16_384;

/**
 * The same operation in its shortest form: neighbours of one kind are one step, and nothing is left that does nothing.
 *
 * @throws InvalidInputError if a step is none, or inserts what no text may hold.
 */
export function normalize(steps: TextOperation): TextOperation {
  const short: TextStep[] = [];
  for (const step of steps) {
    requireStep(step);
    const last = short.at(-1);
    if (sizeOf(step) === 0) continue;
    if (typeof step === "number" && typeof last === "number") short.splice(-1, 1, last + step);
    else if (typeof step === "string" && typeof last === "string") short.splice(-1, 1, last + step);
    else if (typeof step === "object" && typeof last === "object") short.splice(-1, 1, { d: last.d + step.d });
    else short.push(step);
  }
  if (typeof short.at(-1) === "number") short.pop();
  return short;
}

/** How much of a text an operation goes through, in code points. */
export function reachOf(steps: TextOperation): number {
  return sum(steps, (step) => (typeof step === "string" ? 0 : sizeOf(step)));
}

/** By how many code points an operation makes a text longer, or shorter if negative. */
export function growthOf(operation: TextOperation): number {
  return sum(operation, (step) => {
    if (typeof step === "number") return 0;
    return typeof step === "string" ? lengthOf(step) : -step.d;
  });
}

/**
 * The text that an operation makes of a text.
 *
 * @throws InvalidInputError if the operation goes beyond the end, or makes the text longer than MAX_TEXT_BYTES.
 */
export function applyTo(text: string, operation: TextOperation): string {
  if (reachOf(operation) > lengthOf(text)) throw beyondEnd();
  const changed = type.apply(text, operation as TextOp);
  // No unit of a string takes more than three bytes, so that most texts need not be counted.
  if (changed.length * 3 > MAX_TEXT_BYTES && Buffer.byteLength(changed) > MAX_TEXT_BYTES) throw tooLong();
  return changed;
}

/**
 * What an operation becomes when another one, which was made for the same text, has been applied first. Where both
 * insert at the same place, what the other one inserts comes first. Both operations are in their shortest form.
 */
export function transform(operation: TextOperation, applied: TextOperation): TextOperation {
  return type.transform(operation as TextOp, applied as TextOp, "right") as TextOperation;
}

/**
 * An operation that makes one text of the other: it replaces what lies between what they begin and what they end with.
 */
export function differenceOf(before: string, after: string): TextOperation {
  const start = commonStart(before, after);
  const end = commonEnd(before, after, start);
  return normalize([
    lengthOf(before.slice(0, start)),
    { d: lengthOf(before.slice(start, before.length - end)) },
    after.slice(start, after.length - end),
  ]);
}

/** The length of a text in code points. */
export function lengthOf(text: string): number {
  let length = text.length;
  for (let at = 0; at < text.length; at++) if (isLow(text, at) && isHigh(text, at - 1)) length--;
  return length;
}

/** The error of an operation that goes through more than there is. */
export function beyondEnd(): InvalidInputError {
  return invalid("STEPS_BEYOND_END", "must not go beyond the end of the text");
}

function tooLong(): InvalidInputError {
  return invalid("TEXT_TOO_LONG", `must not make the text longer than ${MAX_TEXT_BYTES} bytes`);
}

function invalid(reason: string, description: string): InvalidInputError {
  return invalidInput("operation.steps", reason, description);
}

function requireStep(step: TextStep): void {
  if (typeof step === "string") {
    if (!step.isWellFormed() || step.includes("\0")) {
      throw invalid("INSERT_INVALID", "must insert only characters other than U+0000");
    }
  } else if (!Number.isSafeInteger(sizeOf(step)) || sizeOf(step) < 0) {
    throw invalid("STEP_INVALID", "must leave or delete a number of code points");
  }
}

/** Of an inserted text, some size that is 0 only for an empty one. */
function sizeOf(step: TextStep): number {
  if (typeof step === "number") return step;
  return typeof step === "string" ? step.length : step.d;
}

function sum(steps: TextOperation, measure: (step: TextStep) => number): number {
  return steps.reduce<number>((total, step) => total + measure(step), 0);
}

/** How many units two texts begin with together, without half a code point. */
function commonStart(one: string, other: string): number {
  const most = Math.min(one.length, other.length);
  let start = 0;
  while (start < most && one[start] === other[start]) start++;
  return start > 0 && isHigh(one, start - 1) ? start - 1 : start;
}

/** How many units two texts end with together beyond their start, without half a code point. */
function commonEnd(one: string, other: string, start: number): number {
  const most = Math.min(one.length, other.length) - start;
  let end = 0;
  while (end < most && one[one.length - 1 - end] === other[other.length - 1 - end]) end++;
  return end > 0 && isLow(one, one.length - end) ? end - 1 : end;
}

function isHigh(text: string, at: number): boolean {
  return (text.charCodeAt(at) & 0xfc00) === 0xd800;
}

function isLow(text: string, at: number): boolean {
  return (text.charCodeAt(at) & 0xfc00) === 0xdc00;
}
