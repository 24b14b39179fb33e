import { describe, expect, it } from "vitest";
import type { BenchReport } from "../../src/cli/bench.ts";
import { runCommand, startCommand } from "../support/command-line.ts";
import { JWT_SECRET, startTestServer, userClient } from "../support/server.ts";

const QUICK = ["--warm-up", "0s", "--duration", "50ms"];

describe("user-service bench", () => {
  it("tells how many calls a server answers, and how fast, and leaves nobody behind", async () => {
    const server = await startTestServer();
    const args = ["bench", "--address", server.address, "--concurrency", "4", "--connections", "2", "--json"];
    const { code, stdout, stderr } = await runCommand([...args, ...QUICK], { JWT_SECRET });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const report = JSON.parse(stdout) as BenchReport;
    expect(report).toMatchObject({
      method: "user.v1.UserService/GetUser",
      concurrency: 4,
      connections: 2,
      successRate: 1,
    });
    expect(report.calls).toBeGreaterThan(0);
    expect(report.minMs).toBeLessThanOrEqual(report.p50Ms);
    expect(report.p99Ms).toBeLessThanOrEqual(report.maxMs);
    expect((await userClient(server).listUsersPage({})).users).toEqual([]);
  });

  it("prints a result for people, and exits with 1 when calls fail", async () => {
    const { address } = await startTestServer();
    const args = ["bench", "--address", address, "--method", "GetUser", "--data", '{"id":"nobody"}', ...QUICK];
    const { code, stdout } = await runCommand(args, { JWT_SECRET });
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^user.v1.UserService\/GetUser at .*\n {2}\d+ calls in .*\n {2}0.00 % succeeded; failed: \d+ NOT_FOUND\n/,
    );
  });

  it("ends at Ctrl-C with what it has measured", async () => {
    const server = await startTestServer();
    const args = ["bench", "--address", server.address, "--duration", "1h", "--warm-up", "0s", "--json"];
    const command = startCommand(args, { environment: { JWT_SECRET } });
    await server.logs.waitForCalls(100);
    command.interrupt();
    const { code, stdout } = await command.end;
    expect(code).toBe(130);
    expect(JSON.parse(stdout)).toMatchObject({ successRate: 1 });
  });

  it("exits with 69 where nothing serves", async () => {
    expect(await runCommand(["bench", "--address", "127.0.0.1:1"])).toMatchObject({ code: 69, stdout: "" });
  });
});
