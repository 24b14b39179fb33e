import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { configurationPage, settingRow } from "../scripts/configuration-page.ts";
import type { Setting } from "../src/setting-schemas.ts";
import { SETTINGS } from "../src/settings.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const { scripts } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  scripts: Record<string, string>;
};

const NPM_COMMANDS: ReadonlySet<string> = new Set(["ci", "pack"]);

describe("the page of all settings", () => {
  it("is the one that `npm run docs` writes", () => {
    expect(readFileSync(new URL("../docs/configuration.md", import.meta.url), "utf8")).toBe(configurationPage());
  });
});

describe("the README", () => {
  it("shows settings as they are", () => {
    const rows = Object.entries<Setting>(SETTINGS).map(([name, setting]) => settingRow(name, setting));
    const shown = readme.split("\n").filter((line) => /^\| `[A-Z_]+` \|/.test(line));
    expect(shown.length).toBeGreaterThan(0);
    expect(rows.filter((row) => shown.includes(row))).toEqual(shown);
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
