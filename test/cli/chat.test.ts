import { describe, expect, it } from "vitest";
import { runCommand, startCommand } from "../support/command-line.ts";
import { JWT_SECRET, startTestServer, tokenFor } from "../support/server.ts";

const environment = { JWT_SECRET };
const TIME = "\\d\\d:\\d\\d:\\d\\d";

describe("user-service chat", () => {
  it("posts each line of its input, and ends when all have come back", async () => {
    const { address } = await startTestServer();
    const command = startCommand(["chat", "lobby", "--address", address], { environment });
    command.stdin.end("hello\n\nworld\n");
    const { code, stdout, stderr } = await command.end;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(new RegExp(`^\\* here: chat\n${TIME} chat: hello\n${TIME} chat: world\n$`));

    const later = startCommand(["chat", "lobby", "--json", "--after-sequence", "1", "--address", address], {
      environment,
    });
    later.stdin.end();
    const lines = (await later.end).stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines).toMatchObject([
      { type: "CHAT_MESSAGE_TYPE_TEXT", sequence: "2", message: "world" },
      { type: "CHAT_MESSAGE_TYPE_JOINED", memberIds: ["chat"] },
    ]);
  });

  it("shows on a terminal who comes, says something and goes, above what is being typed", async () => {
    const { address } = await startTestServer();
    const ada = startCommand(["chat", "lobby", "--address", address], { environment, tty: true });
    await ada.stdout.until(/here: chat/);
    ada.stdin.write("half a li");
    await ada.stdout.until(/half a li/);
    const token = await tokenFor({ id: "alan", role: "user" });
    const alan = startCommand(["chat", "lobby", "--token", token, "--address", address]);
    alan.stdin.end("\u001b[2J I am here\n");
    await alan.end;
    await ada.stdout.until(/alan goes.*half a li/s);
    ada.stdin.write("ne\r");
    await ada.stdout.until(/chat\S*: half a line/);
    ada.stdin.write("\u0003");
    const { code, stdout } = await ada.end;
    expect(code).toBe(0);
    expect(stdout).toContain("* alan comes");
    expect(stdout).toMatch(/alan\S*: {2}\[2J I am here\n.*> half a li.*alan goes/s);
  });

  it("leaves at Ctrl-C, and ends", async () => {
    const { address } = await startTestServer();
    const command = startCommand(["chat", "lobby", "--address", address], { environment });
    await command.stdout.until(/here/);
    command.interrupt();
    expect(await command.end).toMatchObject({ code: 0, stderr: "" });
  });

  it("says why it cannot", async () => {
    const { address } = await startTestServer();
    expect(await runCommand(["chat", "lobby", "--address", address])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("export TOKEN="),
    });
    expect(await runCommand(["chat", "--address", address])).toMatchObject({
      code: 64,
      stderr: expect.stringContaining("ROOM is missing"),
    });
    const long = await runCommand(["chat", "r".repeat(200), "--address", address], environment);
    expect(long).toMatchObject({ code: 1, stderr: expect.stringContaining("room: ") });
  });
});
