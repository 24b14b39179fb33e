import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "../src/gen/health/v1/health_pb.ts";
import { startProcess } from "./support/process.ts";
import { JWT_SECRET } from "./support/server.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const TSC = join(ROOT, "node_modules/typescript/bin/tsc");

/** The paths of the files with this extension, without it. */
async function modulesIn(folder: string, extension: string): Promise<Set<string>> {
  const files = await readdir(folder, { recursive: true });
  return new Set(files.filter((file) => file.endsWith(extension)).map((file) => file.slice(0, -extension.length)));
}

describe("npm run build", () => {
  let dist: string;

  beforeAll(async () => {
    // Inside the project, where Node finds the packages.
    await mkdir(join(ROOT, "build"), { recursive: true });
    dist = await mkdtemp(join(ROOT, "build/dist-"));
    const args = [TSC, "-p", "tsconfig.build.json", "--outDir", dist];
    await promisify(execFile)(process.execPath, args, { cwd: ROOT });
  }, 60_000);

  afterAll(() => rm(dist, { recursive: true }));

  it("compiles every file of src, the generated ones included", async () => {
    expect(await modulesIn(dist, ".js")).toEqual(await modulesIn(join(ROOT, "src"), ".ts"));
  });

  it("leaves no import of TypeScript", async () => {
    for (const module of await modulesIn(dist, ".js")) {
      expect(await readFile(join(dist, `${module}.js`), "utf8"), module).not.toMatch(/(from|import) ?\(?"\.[^"]*\.ts"/);
    }
  });

  it("makes a service that answers and stops", async () => {
    const service = startProcess({ JWT_SECRET, NODE_ENV: "production" }, [], join(dist, "main.js"));
    const baseUrl = `http://127.0.0.1:${await service.port}`;
    const { status } = await createClient(Health, createGrpcTransport({ baseUrl })).check({});
    expect(status).toBe(ServingStatus.SERVING);
    service.child.kill("SIGTERM");
    expect(await service.exit).toBe(0);
  });
});
