import { describe, expect, it } from "vitest";
import { WatchEventType } from "../../src/gen/user/v1/watch_pb.ts";
import { createFake, unavailable } from "../../src/testing/testing.ts";
import { runCommand, startCommand } from "../support/command-line.ts";
import { JWT_SECRET, startTestServer, userClient } from "../support/server.ts";

const environment = { JWT_SECRET };

describe("user-service watch", () => {
  it("shows who is there, and each change on a line, until Ctrl-C", async () => {
    const server = await startTestServer();
    const users = userClient(server);
    const { user: ada } = await users.createUser({ email: "ada@example.com", name: "Ada \u2028\u202eLovelace" });
    const command = startCommand(["watch", "--snapshot", "--address", server.address], { environment });
    await command.stdout.until(/changes follow/);
    const { user: alan } = await users.createUser({ email: "alan@example.com", name: "Alan" });
    await users.deleteUser({ id: alan?.id ?? "" });
    await command.stdout.until(/deleted/);
    command.interrupt();
    const { code, stdout, stderr } = await command.end;
    expect(code).toBe(0);
    const time = "\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d.\\d{3}Z";
    expect(stdout).toMatch(
      new RegExp(
        `^${time}  snapshot  ${ada?.id}  Ada  Lovelace\nthese are all users; changes follow\n${time}  created   ${alan?.id}(  Alan)?\n${time}  deleted   ${alan?.id}\n$`,
      ),
    );
    expect(stderr).toMatch(/^go on with: --resume-token \S+\n$/);
  });

  it("goes on with a resume token, as JSON lines", async () => {
    const server = await startTestServer();
    const users = userClient(server);
    const first = startCommand(["watch", "--snapshot", "--json", "--address", server.address], { environment });
    const [line] = await first.stdout.until(/.*SNAPSHOT_END.*\n/);
    first.interrupt();
    await first.end;
    const { user } = await users.createUser({ email: "ada@example.com", name: "Ada" });
    const { resumeToken } = JSON.parse(line);
    const args = ["watch", "--json", "--resume-token", resumeToken, "--address", server.address];
    const second = startCommand(args, { environment });
    const [event] = await second.stdout.until(/.*\n/);
    second.interrupt();
    expect(JSON.parse(event)).toMatchObject({ type: "WATCH_EVENT_TYPE_CREATED", user: { id: user?.id, name: "Ada" } });
    expect((await second.end).code).toBe(0);
  });

  it("goes on by itself when the service stops", async () => {
    await using fake = await createFake({
      watchUsers: [
        async function* () {
          yield { type: WatchEventType.CREATED, userId: "ada", resumeToken: "0", revision: 0n };
          throw unavailable();
        },
        async function* () {
          yield { type: WatchEventType.UPDATED, userId: "ada", resumeToken: "1", revision: 1n };
        },
      ],
    });
    const command = startCommand(["watch", "--address", fake.address]);
    await command.stdout.until(/updated {3}ada/);
    command.interrupt();
    expect((await command.end).stderr).toContain("interrupted, going on: not available\n");
  });

  it.each([["watch"], ["chat", "lobby"], ["import", "package.json", "--format", "csv"], ["bench"], ["demo"]])(
    "does not wait for a service that is not there at first: %s",
    async (...args) => {
      const end = await runCommand([...args, "--address", "127.0.0.1:1"]);
      expect(end).toEqual({
        code: 69,
        stdout: expect.any(String),
        stderr: "Nothing serves at 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1. Start it with: npm start\n",
      });
    },
  );

  it("fails when the service refuses it", async () => {
    const { address } = await startTestServer();
    const forged = await runCommand(["watch", "--resume-token", "forged", "--address", address], environment);
    expect(forged).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(/^INVALID_ARGUMENT: .*resume_token/),
    });
    const unknown = await runCommand(["watch", "--address", address]);
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining("export TOKEN=") });
  });
});
