import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { COMMANDS } from "../../src/cli/commands.ts";
import { runCommand } from "../support/command-line.ts";
import { emptyDatabase, query } from "../support/database.ts";
import { runScript } from "../support/script.ts";
import { JWT_SECRET } from "../support/server.ts";

describe("user-service", () => {
  it("says what it can do", async () => {
    const { code, stdout } = await runCommand(["--help"]);
    expect(code).toBe(0);
    for (const { name, summary } of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${name} +${summary}$`, "m"));
  });

  it("says which release it is", async () => {
    const { version } = JSON.parse(await readFile("package.json", "utf8"));
    expect(await runCommand(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
  });

  it.each([[[]], [["unknown"]], [["constructor"]], [["--unknown"]]])(
    "refuses the arguments %j with EX_USAGE, and says what it can do",
    async (args) => {
      const { code, stdout, stderr } = await runCommand(args);
      expect({ code, stdout }).toEqual({ code: 64, stdout: "" });
      expect(stderr).toContain("usage: user-service COMMAND");
    },
  );

  it.each(COMMANDS.map(({ name }) => name))("tells how %s is used", async (name) => {
    const { code, stdout, stderr } = await runCommand([name, "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(new RegExp(`^usage: user-service ${name} `));
    for (const part of ["Examples:", "Exit status:", "--help"]) expect(stdout).toContain(part);
  });

  it.each(COMMANDS.filter(({ name }) => name !== "serve").map(({ name }) => name))(
    "refuses options that %s does not have, and too many arguments",
    async (name) => {
      for (const args of [["--unknown"], ["a", "b"]]) {
        const { code, stdout, stderr } = await runCommand([name, ...args]);
        expect({ code, stdout }).toEqual({ code: 64, stdout: "" });
        expect(stderr).toContain(`user-service ${name} --help tells more.\n`);
      }
    },
  );

  it("hands the other arguments to the command", async () => {
    const { code, stdout } = await runScript("cli/user-service.ts", ["token", "--subject", "alice"], { JWT_SECRET });
    expect(code).toBe(0);
    expect(stdout.split(".")).toHaveLength(3);
  });

  it("ends quietly when nobody reads any more", async () => {
    const child = spawn(process.execPath, ["src/cli/user-service.ts", "--help"], { stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.destroy();
    const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, "exit")]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });
});

describe("user-service migrate", () => {
  it("brings an empty database up to date, once", async () => {
    const DATABASE_URL = await emptyDatabase();
    const { code, stdout } = await runCommand(["migrate"], { DATABASE_URL });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^0001_users\n/);
    expect(await query(DATABASE_URL, "SELECT * FROM users")).toEqual([]);
    expect(await runCommand(["migrate"], { DATABASE_URL })).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  it.each([
    ["there are arguments", ["now"], { DATABASE_URL: "postgres://localhost/users" }, 64],
    ["no database is named", [], {}, 78],
    ["the URL is none", [], { DATABASE_URL: "localhost" }, 78],
    ["nothing listens there", [], { DATABASE_URL: "postgres://users:secret@127.0.0.1:1/users" }, 69],
  ])("fails when %s", async (_, args, environment, expected) => {
    const { code, stdout, stderr } = await runCommand(["migrate", ...args], environment as Record<string, string>);
    expect({ code, stdout }).toEqual({ code: expected, stdout: "" });
    expect(stderr).not.toBe("");
    expect(stderr).not.toContain("secret");
  });
});
