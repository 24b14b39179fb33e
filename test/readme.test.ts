import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { SETTINGS, type Setting } from "../src/settings.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const { scripts } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  scripts: Record<string, string>;
};

const NPM_COMMANDS: ReadonlySet<string> = new Set(["ci", "pack"]);

describe("the README", () => {
  it("lists every setting as it is", () => {
    const rows = Object.entries<Setting>(SETTINGS).map(([name, { about, allowed, fallback }]) => {
      return `| \`${name}\` | ${about} | ${allowed} | ${fallback === undefined ? "" : `\`${fallback}\``} |`;
    });
    expect(readme.split("\n").filter((line) => /^\| `[A-Z_]+` \|/.test(line))).toEqual(rows);
  });

  it("names only scripts and commands of npm that exist", () => {
    const named = [...readme.matchAll(/npm (?:run )?([a-z:]+)/g)].map(([, name = ""]) => name);
    expect(named.filter((name) => !NPM_COMMANDS.has(name) && scripts[name] === undefined)).toEqual([]);
  });

  it("names only files that exist", () => {
    for (const [, path = ""] of readme.matchAll(/\]\((?!http)([^)]+)\)/g)) {
      expect(() => readFileSync(new URL(`../${path}`, import.meta.url)), path).not.toThrow(/ENOENT/);
    }
  });
});
