import { Random } from "./random.ts";

/** What means something to SQL, to PostgreSQL's arrays, to JSON, to drivers, or to terminals. */
const FRAGMENTS = [
  ..."'\"\\;,{}[]()<>:/*-#`$%?@=|&!^~_. \t\n\r\v\f\b\u001b\u007f\u0085\u00a0",
  ...[
    "''",
    '""',
    "\\\\",
    "\\'",
    '\\"',
    "\\n",
    "\\N",
    "\\.",
    "\\u0041",
    "\\x00",
    "\\000",
    "E'\\''",
    "$$",
    "$tag$",
    "\\;",
  ],
  ...["--", "/*", "*/", "#", ";--", "' OR '1'='1", "'; DROP TABLE users; --", "' UNION SELECT", "); COMMIT; BEGIN; ("],
  ...["$1", "$19", "$0", ":name", "?", "??", "%s", "%1$s", "%%", "%", "_", "{{x}}", "{0}"],
  ...["NULL", "null", "undefined", "true", "DEFAULT", "NaN", "Infinity", "-0", "1e999", "0x1F", "now()", "users.id"],
  ...["{}", "{NULL}", "{{}}", "{a,b}", '{"a":1}', "[]", "[1]", '["', "::jsonb", "::text[]", "ARRAY[1]", "(,)", "\\,"],
  ...["__proto__", "constructor", "toString", "length"],
  ...[
    "é",
    "e\u0301",
    "ß",
    "İ",
    "Ω",
    "中文",
    "😀",
    "👩‍🚀",
    "\u{10ffff}",
    "\ufeff",
    "\ufffd",
    "\ufffe",
    "\u200b",
    "\u200f",
  ],
  ...["\u202e", "\u2028", "\u2029", "\u00ad", "\u2066", "\u0300", "\ue000", "a", "Z", "0", "word", "two words"],
] as const;

/**
 * `count` texts, each different, that whoever puts texts together to SQL, to arrays or to JSON could trip over: every such
 * fragment by itself, then several in a row, with space around them or not, some of them long. None has U+0000.
 */
export function trickyTexts(count: number, seed: number): string[] {
  const random = new Random(seed);
  const fragment = () => FRAGMENTS[random.between(0, FRAGMENTS.length - 1)] ?? "";
  const texts = new Set<string>(FRAGMENTS.slice(0, count));
  while (texts.size < count) {
    const length = random.pick([2, 3, 5, 8, 13]);
    const text = Array.from({ length }, fragment).join(random.pick(["", "", " "]));
    const space = random.pick(["", "", "", " ", "  ", "\t"]);
    texts.add(space + (random.next() < 0.02 ? text.repeat(1000) : text) + space);
  }
  return [...texts];
}
