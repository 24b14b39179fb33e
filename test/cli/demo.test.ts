import { describe, expect, it } from "vitest";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { runScript } from "../support/script.ts";
import { ADMIN, JWT_SECRET, startTestServer, tokenFor, userClient } from "../support/server.ts";

describe("npm run demo", () => {
  it.each([
    { when: "the key", credentials: async () => ({ JWT_SECRET }) },
    { when: "a token", credentials: async () => ({ TOKEN: await tokenFor(ADMIN) }) },
  ])("walks through every RPC with $when, and leaves nobody behind", async ({ credentials }) => {
    const server = await startTestServer();
    const environment = { ADDRESS: server.address, ...(await credentials()) };
    const { code, stdout, stderr } = await runScript("cli/demo.ts", [], environment);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    const calls = new Set((await server.logs.waitForCalls(20)).map(({ method }) => method));
    for (const { name } of UserService.methods) {
      expect(stdout).toMatch(new RegExp(`^${name} \\(`, "m"));
      expect(calls).toContain(`user.v1.UserService/${name}`);
    }
    expect((await userClient(server).listUsersPage({})).users).toEqual([]);
  });

  it("says what to do when the server wants a token", async () => {
    const server = await startTestServer();
    const { code, stderr } = await runScript("cli/demo.ts", [], { ADDRESS: server.address });
    expect(code).toBe(1);
    expect(stderr).toContain("export TOKEN");
  });

  it("says what to do when there is no server", async () => {
    const { code, stderr } = await runScript("cli/demo.ts", [], { ADDRESS: "127.0.0.1:1" });
    expect(code).toBe(1);
    expect(stderr).toContain("Nothing serves at 127.0.0.1:1. Start it with: npm start");
  });
});
