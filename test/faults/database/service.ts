import { expect, onTestFinished } from "vitest";
import type { Principal } from "../../../src/domain/principal.ts";
import { startTestServer, type TestServer } from "../../support/server.ts";
import { watchHealth } from "./health-watch.ts";

/** A caller who may create and list, and of whom nobody asks the database whether they are suspended. */
export const SERVICE: Principal = { id: "importer", role: "service" };

/** What marks everything personal that these tests store: users are called so, and their addresses begin with it. */
export const PERSONAL = "personal";

/** Starts a server on a database. When the test is finished, its log must hold nothing personal and no password. */
export async function startService(databaseUrl: string, environment: Record<string, string> = {}): Promise<TestServer> {
  const server = await startTestServer({ environment: { ...environment, DATABASE_URL: databaseUrl } });
  onTestFinished(() => expectNothingPersonal(server.logs.texts, databaseUrl));
  return server;
}

/** Starts a server as startService does, and waits until calls are served. */
export async function serve(databaseUrl: string, environment?: Record<string, string>): Promise<TestServer> {
  const server = await startService(databaseUrl, environment);
  await watchHealth(server, "").until("SERVING");
  return server;
}

/** Fails if there is something in the lines of a log that must not be there. */
export function expectNothingPersonal(lines: readonly string[], databaseUrl: string): void {
  const { password } = new URL(databaseUrl);
  const secrets = [PERSONAL, password].filter((text) => text !== "");
  const telling = lines.filter((line) => secrets.some((text) => line.includes(text)));
  expect(telling, "log lines that tell what they must not").toEqual([]);
}
