import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { ADMIN, startTestServer, tokenFor } from "../support/server.ts";

const python = process.env.PYTHON ?? "python3";
const installed = spawnSync(python, ["-c", "import grpc, grpc_tools"]).status === 0;
const run = promisify(execFile);

describe("a client in Python, generated from the primary contract alone", () => {
  // Needs grpcio and grpcio-tools, which `npm test` must not require.
  it.runIf(installed)("calls all four RPCs", async () => {
    const stubs = mkdtempSync(join(tmpdir(), "user-service-stubs-"));
    onTestFinished(() => rmSync(stubs, { recursive: true }));
    const output = [`--python_out=${stubs}`, `--grpc_python_out=${stubs}`];
    await run(python, ["-m", "grpc_tools.protoc", "-Itest/primary", ...output, "test/primary/user/v1/user.proto"]);

    const { address } = await startTestServer();
    const { stdout } = await run(python, ["test/foreign/primary_client.py", address, await tokenFor(ADMIN), stubs]);
    expect(JSON.parse(stdout)).toEqual({
      created: 3,
      got: ["user1@example.com", "User 1", "USER_ROLE_USER"],
      listed: ["User 0", "User 1"],
      continues: true,
      answers: ["Echo: one", "Echo: two"],
      failure: ["NOT_FOUND", "no such user"],
    });
  });
});
