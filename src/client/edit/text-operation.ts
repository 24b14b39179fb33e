import type { MessageInitShape } from "@bufbuild/protobuf";
import { type } from "ot-text-unicode";
import type { EditStep, EditStepSchema } from "../../gen/user/v1/collaborative_edit_pb.ts";

/**
 * One step of a change, from where the one before ended: a number leaves so many code points as they are, a text is
 * inserted, and `d` deletes so many code points.
 */
export type TextStep = number | string | { readonly d: number };

/** A change of a text, from its beginning on. What follows the last step stays. */
export type TextOperation = readonly TextStep[];

type TextOp = Parameters<typeof type.apply>[1];

/** How long a text may be, in bytes of UTF-8. */
const MAX_TEXT_BYTES = 16_384;

/**
 * The text that an operation makes of a text.
 *
 * @throws RangeError if it goes beyond the end, inserts what no text may hold, or makes the text longer than 16384
 * bytes.
 */
export function applyChecked(text: string, operation: TextOperation): string {
  let reach = 0;
  for (const step of operation) {
    if (typeof step === "string") {
      if (!step.isWellFormed() || step.includes("\0")) throw new RangeError("only characters can be inserted");
      continue;
    }
    const count = typeof step === "number" ? step : step.d;
    if (!Number.isSafeInteger(count) || count < 0) throw new RangeError("a step takes a number of code points");
    reach += count;
  }
  if (reach > lengthOf(text)) throw new RangeError("the operation goes beyond the end of the text");
  const changed = applyTo(text, operation);
  if (Buffer.byteLength(changed) > MAX_TEXT_BYTES)
    throw new RangeError(`the text has more than ${MAX_TEXT_BYTES} bytes`);
  return changed;
}

/** The text that an operation makes of a text for which it was made. */
export function applyTo(text: string, operation: TextOperation): string {
  return type.apply(text, normalize(operation) as TextOp);
}

/** The operation in its shortest form. */
export function normalize(operation: TextOperation): TextOperation {
  return type.normalize(operation as TextOp) as TextOperation;
}

/** One operation that does the first, and then the second. */
export function compose(first: TextOperation, second: TextOperation): TextOperation {
  return type.compose(first as TextOp, second as TextOp) as TextOperation;
}

/**
 * What two operations on the same text become when the other one has been applied: what `earlier` inserts comes first.
 */
export function transformBoth(earlier: TextOperation, later: TextOperation): [TextOperation, TextOperation] {
  return [
    type.transform(earlier as TextOp, later as TextOp, "left") as TextOperation,
    type.transform(later as TextOp, earlier as TextOp, "right") as TextOperation,
  ];
}

/** Splits an operation into its first steps, at most so many, and what is left to do after those. */
export function splitAfter(operation: TextOperation, count: number): [TextOperation, TextOperation] {
  if (operation.length <= count) return [operation, []];
  const first = operation.slice(0, count);
  const done = first.reduce<number>((length, step) => length + outputOf(step), 0);
  return [first, normalize([done, ...operation.slice(count)])];
}

/** How much of the new text a step makes. */
function outputOf(step: TextStep): number {
  if (typeof step === "number") return step;
  return typeof step === "string" ? lengthOf(step) : 0;
}

/** The length of a text in code points. */
export function lengthOf(text: string): number {
  let length = 0;
  for (const _ of text) length++;
  return length;
}

/** The steps of a message as an operation. */
export function toOperation(steps: readonly EditStep[]): TextOperation {
  return steps.flatMap(({ step }): TextOperation => {
    if (step.case === undefined) return [];
    return [step.case === "delete" ? { d: step.value } : step.value];
  });
}

/** An operation as the steps of a message. */
export function toSteps(operation: TextOperation): MessageInitShape<typeof EditStepSchema>[] {
  return operation.map((step) => {
    if (typeof step === "number") return { step: { case: "retain", value: step } };
    if (typeof step === "string") return { step: { case: "insert", value: step } };
    return { step: { case: "delete", value: step.d } };
  });
}
