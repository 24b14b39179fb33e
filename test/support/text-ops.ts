import { type } from "ot-text-unicode";
import type { TextOp } from "./editor.ts";
import type { Random } from "./random.ts";

/** What is typed: letters, emoji and their parts, marks that combine, other planes. */
const TYPED = [
  "a",
  "b",
  "c ",
  "é",
  "e\u0301",
  "\u0308",
  "中",
  "😀",
  "👩‍🚀",
  "👨‍👩‍👧‍👦",
  "\u200d",
  "🏽",
  "🇩🇪",
  "\u{1d11e}",
  "\u{10ffff}",
  "\n",
  "two words",
] as const;

/** Some text, in pieces that may or may not belong together. */
export function randomText(random: Random, pieces: number): string {
  return Array.from({ length: pieces }, () => random.pick(TYPED)).join("");
}

/** A change of a text of this many code points, somewhere or everywhere in it; it may do nothing. */
export function randomOp(random: Random, length: number): TextOp {
  const op: TextOp = [];
  let left = length;
  const edits = random.pick([1, 1, 1, 2, 3]);
  for (let edit = 0; edit < edits; edit++) {
    const skip = random.between(0, Math.min(left, edit === 0 ? left : 4));
    left -= skip;
    if (skip > 0) op.push(skip);
    const text = random.next() < 0.6 ? randomText(random, random.between(1, 2)) : "";
    const gone = random.next() < 0.5 ? random.between(0, Math.min(left, 4)) : 0;
    left -= gone;
    const steps = [text, gone === 0 ? "" : { d: gone }].filter((step) => step !== "");
    op.push(...(random.next() < 0.5 ? steps : steps.reverse()));
  }
  return type.normalize(op);
}
