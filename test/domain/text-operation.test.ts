import { type } from "ot-text-unicode";
import { describe, expect, it } from "vitest";
import { InvalidInputError } from "../../src/domain/errors.ts";
import {
  applyTo,
  differenceOf,
  growthOf,
  lengthOf,
  MAX_TEXT_BYTES,
  normalize,
  reachOf,
  type TextOperation,
  transform,
} from "../../src/domain/text-operation.ts";
import type { TextOp } from "../support/editor.ts";
import { FULL } from "../support/full.ts";
import { chooseSeed, Random } from "../support/random.ts";
import { randomOp, randomText } from "../support/text-ops.ts";

const ROUNDS = FULL ? 300_000 : 3000;

/** The reasons of the violations that something throws. */
function reasonOf(act: () => unknown): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (error instanceof InvalidInputError) return error.violations.map(({ reason }) => reason).join();
    throw error;
  }
}

/** What an operation means, said as plainly as can be. */
function applyPlainly(text: string, operation: TextOperation): string {
  const before = [...text];
  const after: string[] = [];
  for (const step of operation) {
    if (typeof step === "number") after.push(...before.splice(0, step));
    else if (typeof step === "string") after.push(step);
    else before.splice(0, step.d);
  }
  return [...after, ...before].join("");
}

/** Tries something with many random numbers; says with which seed it failed. */
function atRandom(act: (random: Random) => void): void {
  const first = chooseSeed();
  for (let seed = first; seed < first + ROUNDS; seed++) {
    try {
      act(new Random(seed));
    } catch (cause) {
      throw new Error(`SEED=${seed} repeats it: ${cause}`, { cause });
    }
  }
}

function textOf(random: Random): string {
  return randomText(random, random.between(0, 12));
}

function operationOn(random: Random, text: string): TextOperation {
  return randomOp(random, lengthOf(text)) as TextOperation;
}

describe("normalize", () => {
  it("joins neighbours, and drops what does nothing and what is left at the end", () => {
    expect(normalize([1, 2, "a", "", "b", { d: 1 }, { d: 0 }, { d: 2 }, 0, 4, 5])).toEqual([3, "ab", { d: 3 }]);
    expect(normalize([5, 0])).toEqual([]);
    expect(normalize([])).toEqual([]);
  });

  it("keeps the order of an insertion and a deletion at one place", () => {
    expect(normalize([{ d: 1 }, "a"])).toEqual([{ d: 1 }, "a"]);
    expect(normalize(["a", { d: 1 }, "b"])).toEqual(["a", { d: 1 }, "b"]);
  });

  it("leaves what it is given as it is", () => {
    const steps = [{ d: 1 }, { d: 2 }];
    normalize(steps);
    expect(steps).toEqual([{ d: 1 }, { d: 2 }]);
  });

  it.each([[[-1]], [[1.5]], [[Number.NaN]], [[Number.POSITIVE_INFINITY]], [[{ d: -1 }]], [[{ d: 2 ** 60 }]]])(
    "refuses the length in %j",
    (steps) => {
      expect(reasonOf(() => normalize(steps as TextOperation))).toBe("STEP_INVALID");
    },
  );

  it.each(["\0", "a\0b", "\ud83d", "\ude00", "\ude00\ud83d"])("refuses to insert %j", (text) => {
    expect(reasonOf(() => normalize([text]))).toBe("INSERT_INVALID");
  });
});

describe("lengthOf", () => {
  it("counts code points", () => {
    for (const text of ["", "abc", "😀", "👩‍🚀", "e\u0301", "a😀b𝄞"]) expect(lengthOf(text)).toBe([...text].length);
  });
});

describe("applyTo", () => {
  it("counts in code points, whatever they look like", () => {
    expect(applyTo("a😀b", [2, { d: 1 }, "👩‍🚀"])).toBe("a😀👩‍🚀");
    expect(applyTo("👩‍🚀", [1, { d: 1 }])).toBe("👩🚀");
    expect(applyTo("e\u0301", [1, { d: 1 }, "\u0308"])).toBe("e\u0308");
  });

  it.each<[string, TextOperation]>([
    ["abc", [4, "x"]],
    ["abc", [{ d: 4 }]],
    ["abc", [3, { d: 1 }]],
    ["😀", [2, "x"]],
    ["", [1, "x"]],
    ["abc", [Number.MAX_SAFE_INTEGER - 1, "x", 1, "y"]],
  ])("refuses to go beyond the end of %j with %j", (text, operation) => {
    expect(reasonOf(() => applyTo(text, operation))).toBe("STEPS_BEYOND_END");
  });

  it.each(["x", "é", "中", "😀"])("makes a text of %j as long as it may be, and no longer", (character) => {
    const full = character.repeat(Math.floor(MAX_TEXT_BYTES / Buffer.byteLength(character)));
    expect(applyTo("", [full])).toBe(full);
    expect(reasonOf(() => applyTo(full, [character]))).toBe("TEXT_TOO_LONG");
    expect(applyTo(full, [{ d: 1 }, character])).toBe(full);
  });

  it("does what a plain model does", () => {
    atRandom((random) => {
      const text = textOf(random);
      const operation = operationOn(random, text);
      const after = applyTo(text, operation);
      expect(after).toBe(applyPlainly(text, operation));
      expect(lengthOf(after)).toBe(lengthOf(text) + growthOf(operation));
      expect(reachOf(operation)).toBeLessThanOrEqual(lengthOf(text));
    });
  });
});

describe("transform", () => {
  it("puts what was applied first first, where both insert at the same place", () => {
    expect(transform([2, "mine"], [2, "theirs"])).toEqual([8, "mine"]);
  });

  it("leaves nothing to do where others have done it", () => {
    expect(transform([1, { d: 2 }], [{ d: 4 }])).toEqual([]);
    expect(transform([1, { d: 3 }], [2, { d: 1 }])).toEqual([1, { d: 2 }]);
  });

  it("does not delete what was inserted meanwhile", () => {
    expect(applyTo("ab", ["-"])).toBe("-ab");
    expect(transform([{ d: 2 }], [1, "new"])).toEqual([{ d: 1 }, 3, { d: 1 }]);
  });

  it("leads both orders to the same text", () => {
    atRandom((random) => {
      const text = textOf(random);
      const [one, other] = [operationOn(random, text), operationOn(random, text)];
      const mine = type.transform(one as TextOp, other as TextOp, "left") as TextOperation;
      const theirs = transform(other, one);
      expect(applyTo(applyTo(text, one), theirs)).toBe(applyTo(applyTo(text, other), mine));
      expect(normalize(theirs)).toEqual(theirs);
    });
  });
});

describe("differenceOf", () => {
  it("replaces what lies between what the texts have in common", () => {
    expect(differenceOf("one two three", "one 2 three")).toEqual([4, { d: 3 }, "2"]);
    expect(differenceOf("aaa", "aa")).toEqual([2, { d: 1 }]);
    expect(differenceOf("same", "same")).toEqual([]);
    expect(differenceOf("", "new")).toEqual(["new"]);
    expect(differenceOf("old", "")).toEqual([{ d: 3 }]);
  });

  it("does not tear a code point apart", () => {
    // The first halves of the first two are the same, and the second halves of the others.
    expect(differenceOf("😀", "😁")).toEqual([{ d: 1 }, "😁"]);
    expect(differenceOf("\u{1f600}", "\u{1fa00}")).toEqual([{ d: 1 }, "\u{1fa00}"]);
  });

  it("makes one text of the other", () => {
    atRandom((random) => {
      const before = textOf(random);
      const after = random.next() < 0.5 ? textOf(random) : applyTo(before, operationOn(random, before));
      const operation = differenceOf(before, after);
      expect(applyTo(before, operation)).toBe(after);
      expect(normalize(operation)).toEqual(operation);
    });
  });
});
