import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { ProgressBar } from "../../src/cli/progress-bar.ts";
import { createFake, unavailable } from "../../src/testing/testing.ts";
import { runCommand, startCommand } from "../support/command-line.ts";
import { JWT_SECRET, startTestServer, userClient } from "../support/server.ts";

const CSV = "email,name\nada@example.com,Ada\nnobody,Nobody\nalan@example.com,Alan\n";

/** A file of this name and content. It is removed after the test. */
async function fileOf(name: string, content: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "import-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

describe("user-service import", () => {
  it("imports a file, names the rows that failed, and exits with 1 then", async () => {
    const server = await startTestServer();
    const path = await fileOf("users.csv", CSV);
    const { code, stdout, stderr } = await runCommand(["import", path, "--address", server.address], { JWT_SECRET });
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^line 3: email must be an e-mail address \(EMAIL_INVALID\)\n3 rows: 2 created, 0 updated, 0 as they were, 1 failed; upload id [0-9a-f-]{36}\n$/,
    );
    expect(stderr).toMatch(/^ {2}0 % .*\n100 % .*\nsent, being imported\n$/);
    expect((await userClient(server).listUsersPage({})).users.map(({ name }) => name)).toEqual(["Ada", "Alan"]);
  });

  it("reports the same file again without importing it, unless it is told to", async () => {
    const { address } = await startTestServer();
    const path = await fileOf("users.jsonl", '{"email":"ada@example.com","name":"Ada"}\n');
    const run = async (...args: string[]) => {
      const { code, stdout } = await runCommand(["import", path, "--json", "--address", address, ...args], {
        JWT_SECRET,
      });
      return { code, report: JSON.parse(stdout) };
    };
    const first = await run();
    expect(first).toMatchObject({
      code: 0,
      report: { rowCount: "1", createdCount: "1", failedCount: "0", failures: [] },
    });
    expect(await run()).toEqual(first);
    const again = await run("--again");
    expect(again).toMatchObject({ code: 0, report: { createdCount: "0", skippedCount: "1" } });
    expect(again.report.uploadId).not.toBe(first.report.uploadId);
    expect((await run("--upload-id", again.report.uploadId)).report).toEqual(again.report);
  });

  it("goes on when the service stops meanwhile", async () => {
    await using fake = await createFake({
      uploadUserData: [
        unavailable(),
        async (requests) => {
          for await (const _ of requests);
          return { rowCount: 3n, createdCount: 3n };
        },
      ],
    });
    const path = await fileOf("users.csv", CSV);
    const { code, stdout, stderr } = await runCommand(["import", path, "--address", fake.address]);
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringMatching(/^3 rows: 3 created/) });
    expect(stderr).toContain("interrupted, sending it again (attempt 2)\n");
  });

  it("ends at Ctrl-C with 130, and says how it goes on", async () => {
    await using fake = await createFake({ uploadUserData: () => new Promise(() => {}) });
    const path = await fileOf("users.csv", CSV);
    const command = startCommand(["import", path, "--address", fake.address]);
    await command.stderr.until(/being imported/);
    command.interrupt();
    expect(await command.end).toMatchObject({ code: 130, stderr: expect.stringContaining("goes on where it stopped") });
  });

  it.each([
    { args: [], code: 64, says: "FILE is missing" },
    { args: ["users.txt"], code: 64, says: "--format must be csv or ndjson" },
    { args: ["users.csv", "--format", "xml"], code: 64, says: "--format must be csv or ndjson" },
    { args: ["users.csv", "--again", "--upload-id", "a"], code: 64, says: "--again" },
    { args: ["/no/such/users.csv"], code: 66, says: "no such file" },
  ])("refuses $args with $code", async ({ args, code, says }) => {
    expect(await runCommand(["import", ...args])).toEqual({ code, stdout: "", stderr: expect.stringContaining(says) });
  });
});

describe("a progress bar", () => {
  const MIB = 2 ** 20;

  function draw(isTTY: boolean, steps: readonly (readonly [ms: number, done: number])[]): string[] {
    const written: string[] = [];
    // What the bar needs of a stream.
    const output = { isTTY, columns: 70, write: (text: string) => written.push(text) > 0 } as never;
    let now = 0;
    using bar = new ProgressBar(output, () => now);
    for (const [ms, done] of steps) {
      now = ms;
      bar.show({ done: done * MIB, total: 8 * MIB });
    }
    return written;
  }

  it("shows how far it is, how fast, and how long it takes yet", () => {
    const [, second] = draw(true, [
      [0, 0],
      [2000, 2],
    ]);
    expect(second).toBe("\r\u001b[K[#####---------------]  25 %  2.0 MiB of 8.0 MiB, 1.0 MiB/s, 6 s left");
  });

  it("is not drawn more often than is seen, and writes few lines where it cannot be drawn", () => {
    const steps = Array.from({ length: 8 }, (_, index) => [index * 50, index] as const);
    expect(draw(true, [...steps, [400, 8]])).toHaveLength(6);
    expect(draw(false, [...steps, [400, 8]])).toEqual([
      "  0 %  0 B of 8.0 MiB, 0 B/s\n",
      "100 %  8.0 MiB of 8.0 MiB, 20.0 MiB/s\n",
    ]);
  });

  it("counts anew what begins anew", () => {
    const drawn = draw(true, [
      [0, 0],
      [1000, 4],
      [2000, 0],
      [4000, 4],
    ]);
    expect(drawn[3]).toContain("2.0 MiB/s, 2 s left");
  });
});
