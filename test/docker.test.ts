import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { START_FLAGS } from "../scripts/start-flags.ts";
import { SETTINGS } from "../src/settings.ts";

const ROOT = new URL("..", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), "utf8");
const exists = (path: string): boolean => existsSync(new URL(path, ROOT));

interface Instruction {
  readonly name: string;
  readonly text: string;
}

const stages = read("Dockerfile")
  .split(/^(?=FROM )/m)
  .map((stage): Instruction[] =>
    [...stage.matchAll(/^([A-Z]+) (.*)$/gm)].map(([, name = "", text = ""]) => ({ name, text })),
  );
const final = stages.at(-1) ?? [];

/** The words of an instruction of the final stage that is in exec form. */
function execForm(name: string): unknown {
  const { text = "" } = final.find((instruction) => instruction.name === name) ?? {};
  return JSON.parse(text.slice(text.indexOf("[")));
}

describe("the image", () => {
  it("runs as a numbered user other than root", () => {
    expect(final.filter(({ name }) => name === "USER").at(-1)?.text).toMatch(/^[1-9]\d*(:[1-9]\d*)?$/);
  });

  it("needs no shell, neither to be made nor to run", () => {
    expect(final.map(({ name }) => name)).not.toContain("RUN");
    expect(execForm("ENTRYPOINT")).toEqual(["node", ...START_FLAGS, "dist/main.js"]);
    expect(execForm("HEALTHCHECK")).toEqual(["node", "dist/health-check.js"]);
    expect(exists("src/main.ts") && exists("src/health-check.ts")).toBe(true);
  });

  it("is made of files that exist, and of no others", () => {
    const own = stages.flat().filter(({ name, text }) => name === "COPY" && !text.startsWith("--from"));
    const copied = new Set(own.flatMap(({ text }) => text.split(" ").slice(0, -1)));
    const ignored = read(".dockerignore").match(/^[^#\s].*$/gm);
    expect([...copied].filter((path) => !exists(path))).toEqual([]);
    expect(new Set(ignored)).toEqual(new Set(["*", ...[...copied].map((path) => `!${path}`)]));
  });

  it("exposes the ports that the service listens on", () => {
    const { PORT, HTTP_PORT } = SETTINGS;
    expect(final.find(({ name }) => name === "EXPOSE")?.text).toBe(`${PORT.fallback} ${HTTP_PORT.fallback}`);
  });
});

describe("docker-compose.yml", () => {
  const compose = read("docker-compose.yml");

  it("sets only what the service reads", () => {
    const [, service = ""] = /^ {2}user-service:\n(.*?)^ {2}\w/ms.exec(compose) ?? [];
    const names = [...service.matchAll(/^ {6}([A-Z_]+):/gm)].map(([, name]) => name);
    expect(names).toContain("JWT_SECRET");
    expect(names.filter((name) => !Object.hasOwn(SETTINGS, name ?? ""))).toEqual([]);
  });

  it("has no secret in it", () => {
    for (const [, value = ""] of compose.matchAll(/(?:SECRET|KEY|PASSWORD): (.*)/g)) expect(value).toMatch(/^\$\{/);
  });
});
