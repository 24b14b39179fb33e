import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { LogBuffer } from "../src/log-buffer.ts";

const CHUNK_LENGTH = 16_384;
const MAX_BACKLOG = 16 * 1024 * 1024;

/** A line that is written as soon as it is taken, for it fills a chunk. */
const LONG_LINE = `${"x".repeat(CHUNK_LENGTH - 1)}\n`;

// Every buffer waits for the end of the process.
process.setMaxListeners(0);

afterEach(() => {
  vi.useRealTimers();
});

/** A buffer that writes to a file, and what is in the file. */
function openBuffer(): { buffer: LogBuffer; content: () => string } {
  const folder = mkdtempSync(join(tmpdir(), "log-buffer-"));
  const path = join(folder, "log");
  const fd = openSync(path, "w");
  onTestFinished(() => {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });
  return { buffer: new LogBuffer(fd), content: () => readFileSync(path, "utf8") };
}

function numberedLines(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `line ${index} of ${count}, with an ä\n`);
}

/** Fills the backlog, and loses `lost` lines after that. Returns when all that was taken is written. */
async function overflow(buffer: LogBuffer, lost: number): Promise<void> {
  buffer.write(LONG_LINE);
  const written = buffer.flush();
  for (let bytes = 0; bytes < MAX_BACKLOG; bytes += LONG_LINE.length) buffer.write(LONG_LINE);
  for (let index = 0; index < lost; index++) buffer.write(LONG_LINE);
  await written;
}

/** Runs a script in which `buffer` writes to stdout. Returns what it has written, and its exit status. */
async function run(script: string): Promise<{ output: string; status: number }> {
  const module = JSON.stringify(new URL("../src/log-buffer.ts", import.meta.url).href);
  const imports = `import { closeSync, openSync } from "node:fs"; import { LogBuffer } from ${module};`;
  const source = `${imports} const buffer = new LogBuffer(1); ${script}`;
  const child = spawn(process.execPath, ["--input-type=module", "-"], { stdio: ["pipe", "pipe", "ignore"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  child.stdin.end(source);
  const [output, [status]] = await Promise.all([text(child.stdout), once(child, "exit")]);
  return { output, status: Number(status) };
}

describe("LogBuffer", () => {
  it("has written all lines, whole and in order, once flush resolves", async () => {
    const { buffer, content } = openBuffer();
    const lines = numberedLines(10_000);
    for (const line of lines) buffer.write(line);
    await buffer.flush();
    expect(content()).toBe(lines.join(""));
  });

  it("writes every line once, however often it is flushed", async () => {
    const { buffer, content } = openBuffer();
    const lines = numberedLines(10);
    const flushes = lines.map((line) => {
      buffer.write(line);
      return buffer.flush();
    });
    await Promise.all(flushes);
    await buffer.flush();
    expect(content()).toBe(lines.join(""));
  });

  it("flushes at once when there is nothing to write", async () => {
    const { buffer, content } = openBuffer();
    await buffer.flush();
    expect(content()).toBe("");
  });

  it("writes a lone line though nobody flushes", async () => {
    const { buffer, content } = openBuffer();
    buffer.write("alone\n");
    await vi.waitFor(() => expect(content()).toBe("alone\n"));
  });

  it("writes a lone line after others were flushed", async () => {
    const { buffer, content } = openBuffer();
    buffer.write("first\n");
    await buffer.flush();
    buffer.write("second\n");
    await vi.waitFor(() => expect(content()).toBe("first\nsecond\n"));
  });

  it("keeps short lines until the first has waited 50 ms", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { buffer, content } = openBuffer();
    buffer.write("first\n");
    vi.advanceTimersByTime(49);
    buffer.write("second\n");
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(1);
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
    await vi.waitFor(() => expect(content()).toBe("first\nsecond\n"));
  });

  it("waits for no time once there is a chunk", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { buffer, content } = openBuffer();
    buffer.write("first\n");
    buffer.write(LONG_LINE);
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
    await vi.waitFor(() => expect(content()).toBe(`first\n${LONG_LINE}`));
  });

  it("resolves a flush though the file cannot be written", async () => {
    const fd = openSync("/dev/null", "r");
    onTestFinished(() => closeSync(fd));
    const buffer = new LogBuffer(fd);
    buffer.write("lost\n");
    await expect(buffer.flush()).resolves.toBeUndefined();
  });

  // Node exits with 13 if it waits for nothing.
  it("resolves a flush after one that failed", async () => {
    const { status } = await run(
      'closeSync(1); openSync("/dev/null", "r"); await buffer.flush(); await buffer.flush();',
    );
    expect(status).toBe(0);
  });
});

describe("a LogBuffer whose reader is slow", () => {
  it("keeps no more than 16 MB, drops lines beyond, and says once how many, where they are missing", async () => {
    const { buffer, content } = openBuffer();
    await overflow(buffer, 5);
    buffer.write("after\n");
    await buffer.flush();
    buffer.write("later\n");
    await buffer.flush();
    const written = content();
    const [notice = "", ...rest] = written.split("\n").slice(-4);
    expect(JSON.parse(notice)).toEqual({
      level: "warn",
      time: expect.any(String),
      dropped: 5,
      msg: "log lines dropped",
    });
    expect(rest).toEqual(["after", "later", ""]);
    expect(written.match(/log lines dropped/g)).toHaveLength(1);
    expect(written.length).toBeLessThanOrEqual(MAX_BACKLOG + 3 * LONG_LINE.length);
  });

  it("resolves a flush that finds the backlog full", async () => {
    const { buffer } = openBuffer();
    const overflown = overflow(buffer, 0);
    const flushed = vi.fn<() => void>();
    void buffer.flush().then(flushed);
    await overflown;
    await buffer.flush();
    expect(flushed).toHaveBeenCalledOnce();
  });
});

describe("a LogBuffer at the end of its process", () => {
  it.each(["", "process.exit();", "throw new Error();"])("writes the lines that are left: %j", async (end) => {
    const script = `process.on("uncaughtException", () => process.exit(1)); buffer.write("one\\n"); buffer.write("two\\n");`;
    expect(await run(`${script} ${end}`)).toMatchObject({ output: "one\ntwo\n" });
  });

  // Not in order: a write that is under way then may come after the rest.
  it("writes the lines that are left, each once, when they are more than a chunk", async () => {
    const lines = numberedLines(5000);
    const script = `for (const line of ${JSON.stringify(lines)}) buffer.write(line); process.exit();`;
    const written = (await run(script)).output.split(/(?<=\n)/);
    expect(written).toHaveLength(lines.length);
    expect(new Set(written)).toEqual(new Set(lines));
  });
});
