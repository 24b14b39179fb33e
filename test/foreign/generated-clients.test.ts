import { cp, mkdir, readFile, symlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { liveServer, PYTHON, runProgram, temporaryFolder, whyNot } from "../support/foreign.ts";

/** Long enough for what comes from a package registry. */
const TIMEOUT_MS = 300_000;

const TOUR = await readFile("examples/tour.txt", "utf8");

async function generateClient(language: string, output: string): Promise<void> {
  const args = ["scripts/generate-clients.ts", "--language", language, "--output", output];
  await runProgram(process.execPath, args);
}

describe("a client in Go", () => {
  it(
    "is formatted, passes go vet and its tests, and prints what the one in TypeScript does",
    async ({ skip }) => {
      const reason = whyNot("go", "version");
      if (reason !== undefined) skip(reason);
      const example = await temporaryFolder();
      const client = join(example, "client");
      for (const file of ["go.mod", "go.sum", "main.go", "users.go", "streams.go"])
        await cp(join("examples/go", file), join(example, file));
      await generateClient("go", client);
      for (const cwd of [client, example]) {
        expect(await runProgram("gofmt", ["-l", "."], { cwd })).toBe("");
        await runProgram("go", ["vet", "./..."], { cwd });
        // Fails if another version were needed than go.mod and go.sum name.
        await runProgram("go", ["mod", "tidy", "-diff"], { cwd });
      }
      await runProgram("go", ["test", "./..."], { cwd: client });
      expect(await runProgram("go", ["run", "."], { cwd: example, env: await liveServer() })).toBe(TOUR);
    },
    TIMEOUT_MS,
  );
});

describe("a client in Python", () => {
  it(
    "installs, passes ruff, mypy and its tests, and prints what the one in TypeScript does",
    async ({ skip }) => {
      const reason = whyNot(PYTHON, "-c", "import venv, ensurepip");
      if (reason !== undefined) skip(reason);
      const folder = await temporaryFolder();
      const cwd = join(folder, "client");
      await generateClient("python", cwd);
      await runProgram(PYTHON, ["-m", "venv", join(folder, "venv")]);
      const bin = (name: string): string => join(folder, "venv/bin", name);
      await runProgram(bin("pip"), ["install", "--quiet", `${cwd}[dev]`], { cwd });
      await runProgram(bin("ruff"), ["check", "."], { cwd });
      await runProgram(bin("ruff"), ["format", "--check", "."], { cwd });
      await runProgram(bin("mypy"), [], { cwd });
      await runProgram(bin("pytest"), ["-q"], { cwd });

      const tour = resolve("examples/python/tour.py");
      await runProgram(bin("ruff"), ["check", tour]);
      await runProgram(bin("ruff"), ["format", "--check", tour]);
      await runProgram(bin("mypy"), [tour], { cwd });
      expect(await runProgram(bin("python"), [tour], { cwd: folder, env: await liveServer() })).toBe(TOUR);
    },
    TIMEOUT_MS,
  );
});

describe("a client in JavaScript", () => {
  it(
    "passes its tests, and runs its example",
    async ({ skip }) => {
      const reason = whyNot(process.execPath, "--version");
      if (reason !== undefined) skip(reason);
      const cwd = await temporaryFolder();
      await generateClient("node", cwd);
      const modules = join(cwd, "node_modules");
      await mkdir(modules);
      for (const name of ["@bufbuild", "@grpc"]) await symlink(resolve("node_modules", name), join(modules, name));
      await runProgram(process.execPath, ["--test", "--test-timeout=60000", "test/client.test.js"], { cwd });
      const { ADDRESS, TOKEN } = await liveServer();
      const printed = await runProgram(process.execPath, ["examples/quickstart.js", ADDRESS], { cwd, env: { TOKEN } });
      expect(printed).toMatch(/^created [0-9a-f-]{36}\n[0-9a-f-]{36} Ada\n$/);
    },
    TIMEOUT_MS,
  );
});
