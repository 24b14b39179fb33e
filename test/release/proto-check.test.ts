import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { type ContractCheck, checkContract } from "../../scripts/proto/any-contract.ts";

const run = promisify(execFile);

const GOOD = `syntax = "proto3";

package acme.v1;

import "acme/v1/part.proto";
import "google/rpc/status.proto";

option go_package = "example.com/acme/v1;acmev1";

// Thing is something.
message Thing {
  reserved 2;

  // Holds a part.
  Part part = 1;

  // Holds what went wrong.
  google.rpc.Status status = 3;
}
`;

const PART = `syntax = "proto3";

package acme.v1;

option go_package = "example.com/acme/v1;acmev1";

// Part is a part.
message Part {
  // Holds a name.
  string name = 1;
}
`;

/** A folder with these files. It is removed after the test. */
async function folderOf(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "contract-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}

/** What was found, by the names of the checks. */
function rules(checks: readonly ContractCheck[]): Record<string, string[]> {
  return Object.fromEntries(checks.map(({ name, findings }) => [name, findings.map(({ rule }) => rule).sort()]));
}

describe("npm run proto:check", () => {
  it("finds nothing in a file that is right, with what it imports from beside it and from Google", async () => {
    const folder = await folderOf({ "acme/v1/thing.proto": GOOD, "acme/v1/part.proto": PART });
    const checks = await checkContract(join(folder, "acme/v1/thing.proto"), { against: undefined, includes: [] });
    expect(rules(checks)).toEqual({ syntax: [], naming: [], "best practices": [], format: [] });
  });

  it("finds what is named or done badly, and what would break callers, in a directory and the commit before", async () => {
    const folder = await folderOf({
      "acme/v1/thing.proto": GOOD,
      "acme/v1/part.proto": PART,
      "acme/v1/gone.proto": PART.replace("Part {", "Gone {"),
    });
    const git = (...args: string[]) =>
      run("git", ["-c", "user.name=test", "-c", "user.email=test@example.com", ...args], { cwd: folder });
    await git("init", "--quiet");
    await git("add", ".");
    await git("commit", "--quiet", "--message", "first");
    await rm(join(folder, "acme/v1/gone.proto"));
    const worse = PART.replace("// Holds a name.\n  string name = 1;", "int32 Name = 1;\n  string other = 4;").replace(
      /option.*\n/,
      "",
    );
    await writeFile(join(folder, "acme/v1/part.proto"), worse);
    const checks = await checkContract(folder, { against: "HEAD", includes: [] });
    expect(rules(checks)).toEqual({
      syntax: [],
      naming: ["FIELD_LOWER_SNAKE_CASE"],
      "best practices": [
        "COMMENT_FIELD",
        "COMMENT_FIELD",
        "FIELD_NUMBERS_RESERVED",
        "GO_PACKAGE_DEFINED",
        "PACKAGE_SAME_GO_PACKAGE",
        "PACKAGE_SAME_GO_PACKAGE",
      ],
      format: ["FORMAT"],
      "breaking changes since HEAD": expect.arrayContaining(["FILE_NO_DELETE", "FIELD_SAME_TYPE", "FIELD_SAME_NAME"]),
    });
    const file = join(folder, "acme/v1/part.proto");
    const places = checks
      .flatMap(({ findings }) => findings)
      .map((each) => `${join(process.cwd(), each.file)}:${each.line}:${each.column}`);
    expect(places).toContain(`${file}:8:9`);
    expect(checks.at(2)?.findings.at(-1)?.message).toContain("leaves out the field numbers 2, 3");
  });

  it("prints a report as JSON, and exits with 1 for what cannot be read", async () => {
    const folder = await folderOf({ "bad.proto": 'syntax = "proto3";\nmessage A { string a = ; }\n' });
    const script = [process.execPath, ["scripts/proto-check.ts", join(folder, "bad.proto"), "--json"]] as const;
    const failure = await run(...script).then(
      () => undefined,
      (error: unknown) => error,
    );
    const { code, stdout } = failure as { code: number; stdout: string };
    expect(code).toBe(1);
    const report = JSON.parse(stdout);
    expect(report.ok).toBe(false);
    expect(report.checks[0]).toMatchObject({ name: "syntax", ok: false });
    expect(report.checks[0].findings[0]).toMatchObject({
      line: 2,
      rule: "COMPILE",
      message: expect.stringContaining("field tag"),
    });
    expect(report.checks[0].findings[0].file).toMatch(/bad\.proto$/);
  });
});
