import { describe, expect, it } from "vitest";
import { emptyDatabase, query } from "../support/database.ts";
import { runScript } from "../support/script.ts";
import { JWT_SECRET } from "../support/server.ts";

function run(args: readonly string[], environment: Record<string, string> = {}) {
  return runScript("cli/user-service.ts", args, environment);
}

describe("user-service", () => {
  it("says what it can do", async () => {
    const { code, stdout } = await run(["--help"]);
    expect(code).toBe(0);
    for (const name of ["serve", "migrate", "token"]) expect(stdout).toContain(name);
  });

  it.each([[[]], [["unknown"]], [["constructor"]]])(
    "refuses the arguments %j with EX_USAGE, and says what it can do",
    async (args) => {
      const { code, stdout, stderr } = await run(args);
      expect({ code, stdout }).toEqual({ code: 64, stdout: "" });
      expect(stderr).toContain("usage: user-service COMMAND");
    },
  );

  it("hands the other arguments to the command", async () => {
    expect(await run(["serve", "--port", "http"])).toMatchObject({ code: 78, stderr: expect.stringContaining("PORT") });
    const { code, stdout } = await run(["token", "--subject", "alice"], { JWT_SECRET });
    expect(code).toBe(0);
    expect(stdout.split(".")).toHaveLength(3);
  });
});

describe("user-service migrate", () => {
  it("brings an empty database up to date, once", async () => {
    const DATABASE_URL = await emptyDatabase();
    const { code, stdout } = await run(["migrate"], { DATABASE_URL });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^0001_users\n/);
    expect(await query(DATABASE_URL, "SELECT * FROM users")).toEqual([]);
    expect(await run(["migrate"], { DATABASE_URL })).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  it.each([
    ["there are arguments", ["now"], { DATABASE_URL: "postgres://localhost/users" }, 64],
    ["no database is named", [], {}, 78],
    ["the URL is none", [], { DATABASE_URL: "localhost" }, 78],
    ["nothing listens there", [], { DATABASE_URL: "postgres://users:secret@127.0.0.1:1/users" }, 69],
  ])("fails when %s", async (_, args, environment, expected) => {
    const { code, stdout, stderr } = await run(["migrate", ...args], environment as Record<string, string>);
    expect({ code, stdout }).toEqual({ code: expected, stdout: "" });
    expect(stderr).not.toBe("");
    expect(stderr).not.toContain("secret");
  });
});
