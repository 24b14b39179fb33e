import { readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { EX_CANTCREAT, EX_UNAVAILABLE, EX_USAGE } from "../../src/exit-codes.ts";
import { temporaryFolder } from "../support/foreign.ts";
import { runScript } from "../support/script.ts";

const PATH = dirname(process.execPath);

function generateClients(args: readonly string[], environment: Record<string, string> = { PATH }) {
  return runScript("../scripts/generate-clients.ts", args, environment);
}

describe("npm run generate:clients", () => {
  it.concurrent.each([
    { args: ["--language", "toString"], says: "--language must be one of python, go, node" },
    { args: ["--language", "go"], says: "--output must name a directory" },
  ])("refuses the arguments $args", async ({ args, says }) => {
    const { code, stdout, stderr } = await generateClients(args);
    expect([code, stdout]).toEqual([EX_USAGE, ""]);
    expect(stderr).toContain(says);
    expect(stderr).toContain("usage: npm run generate:clients");
  });

  it.concurrent("shows how it is used", async () => {
    const { code, stdout, stderr } = await generateClients(["--help"]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^usage: npm run generate:clients -- --language python\|go\|node --output DIR/);
  });

  it("leaves a folder alone that is not empty, and says so in JSON", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "package.json"), "mine");
    const { code, stdout } = await generateClients(["--language", "node", "--output", folder, "--json"]);
    expect(code).toBe(EX_CANTCREAT);
    const error = `${folder} is not empty: name another directory, or add --force to write over what is there`;
    expect(JSON.parse(stdout)).toEqual({ error, status: EX_CANTCREAT });
    expect(await readdir(folder)).toEqual(["package.json"]);
    expect(await readFile(join(folder, "package.json"), "utf8")).toBe("mine");
  });

  it.concurrent("says what is wrong with a folder that cannot be made", async () => {
    const { code, stderr } = await generateClients(["--language", "node", "--output", "/dev/null/client"]);
    expect(code).toBe(EX_CANTCREAT);
    expect(stderr).toContain("/dev/null/client cannot be written: ENOTDIR");
  });

  it("says what a language needs that is not installed, and writes nothing", async () => {
    const folders = [await temporaryFolder(), await temporaryFolder()];
    const ends = ["go", "python"].map((language, index) =>
      generateClients(["--language", language, "--output", folders[index] ?? ""], { PATH: "/nonexistent" }),
    );
    const remedies = ["Install Go 1.26 or newer", "Install Python 3.10 or newer"];
    for (const [index, { code, stderr }] of (await Promise.all(ends)).entries()) {
      expect(code).toBe(EX_UNAVAILABLE);
      expect(stderr).toContain(remedies[index]);
      expect(await readdir(folders[index] ?? "")).toEqual([]);
    }
  });

  it("writes a client over what is there with --force, and tells in JSON what it wrote", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "package.json"), "mine");
    await writeFile(join(folder, "notes"), "mine");
    const { code, stdout } = await generateClients(["--language", "node", "--output", folder, "--force", "--json"]);
    expect(code).toBe(0);
    const { files, ...result } = JSON.parse(stdout) as { files: string[]; tools: object };
    const { devDependencies, version } = JSON.parse(await readFile("package.json", "utf8"));
    const { "@bufbuild/protoc-gen-es": plugin, typescript } = devDependencies;
    const tools = { "@bufbuild/protoc-gen-es": plugin, typescript };
    expect(result).toEqual({ language: "node", output: folder, version, tools });
    expect(files).toContain("dist/client.d.ts");
    expect(files).not.toContain("notes");
    expect(await readFile(join(folder, "notes"), "utf8")).toBe("mine");
    for (const file of files) expect(await readFile(join(folder, file), "utf8"), file).not.toBe("mine");
  }, 60_000);
});
