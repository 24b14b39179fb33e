import { once } from "node:events";
import { readdir, readlink } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, onTestFinished } from "vitest";
import { createUserClient } from "../../src/client/user-client.ts";
import type { LogLine } from "../support/log-lines.ts";
import { startProcess } from "../support/process.ts";
import { peakBytes, residentBytes } from "../support/process-memory.ts";
import { JWT_SECRET, tokenFor } from "../support/server.ts";
import { type Canary, startCanary } from "./canary.ts";
import { loadHonestly } from "./honest-load.ts";
import { noMoreSockets } from "./recovery.ts";

/** Stands in every e-mail address, name and token subject of the attacks, so that none can get into the log unseen. */
const MARK = "mallory";

/** How a token begins, whoever has made it. */
const TOKEN_START = "eyJ";

const USERS = 100;

const MIB = 2 ** 20;

/** What may be in use after all attacks that was not before: what the server knows of callers, and what a moment needs. */
const LEAK_MIB = 16;

/** After so many calls of an honest load, memory grows no more: V8 lets the heap of a busy process grow, whatever it does. */
const WARM_UP_CALLS = 20_000;

/** The server that is attacked: it runs in a process of its own, as it does in production, with the flags of production. */
export interface Target {
  readonly port: number;
  readonly pid: number;
  /** A token of an admin. */
  readonly token: string;
  /** A user who exists. */
  readonly userId: string;
  /** How many bytes were resident when it had been warmed up: see warmTarget. */
  readonly warmBytes: number;
  /** Goes on calling between the attacks, where several share the server. */
  readonly canary?: Canary;
  /** How many bytes are resident now. */
  residentBytes(): Promise<number>;
  /** The most bytes that were resident while something happened. */
  peakBytes(happening: () => Promise<unknown>): Promise<number>;
  /** How many sockets it has open: two of them listen or belong to the process. */
  openSockets(): Promise<number>;
  /** What it holds once the garbage is collected; `bytes` leaves the streams out, for which it would halt a second. */
  holdings(wanted: "bytes" | "all"): Promise<Holdings>;
  /** The lines it has logged. */
  logs(): LogLine[];
  /** Fails if it has died, or has said anything on stderr. */
  check(): void;
  /** Stops it, which must go well, and looks at all it has written. A second call waits for the same stop. */
  stop(): Promise<void>;
}

/** What a process holds. */
export interface Holdings {
  /** Bytes of objects and buffers. */
  readonly bytes: number;
  /** How many timers are armed. */
  readonly timers: number;
  /** How many sockets, HTTP/2 streams and streams of calls there are. */
  readonly streams: number;
}

const INSPECTOR = fileURLToPath(new URL("inspector.ts", import.meta.url));

/**
 * Starts a server that holds a hundred users, with variables besides those of the tests. After the test it is stopped, and
 * the test fails if it has died before, if it says anything on stderr, or logs what is no JSON object or is personal.
 */
export async function startTarget(
  environment: Readonly<Record<string, string>> = {},
  atEnd: (end: () => void | Promise<void>) => void = onTestFinished,
): Promise<Target> {
  const variables = {
    AUTH: "jwt",
    JWT_SECRET,
    LOG_FORMAT: "json",
    SHUTDOWN_TIMEOUT: "2s",
    // What the inspector uses is experimental; what the service uses, the tests of the process see.
    NODE_OPTIONS: `--import=${INSPECTOR} --disable-warning=ExperimentalWarning`,
    ...environment,
  };
  const service = startProcess(variables, [], undefined, atEnd);
  const pid = service.child.pid ?? 0;
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= stopAndInspect();
    return stopping;
  };
  atEnd(stop);

  const port = await service.port;
  const token = await tokenFor({ id: `${MARK}-the-admin`, role: "admin" });
  const userIds = await createUsers(port, token);
  return {
    port,
    pid,
    token,
    userId: userIds[0] ?? "",
    warmBytes: await residentBytes(pid),
    residentBytes: () => residentBytes(pid),
    peakBytes: (happening) => peakBytes(pid, happening),
    openSockets: () => openSockets(pid),
    async holdings(wanted) {
      service.child.send(wanted);
      const [holdings] = await once(service.child, "message");
      return holdings as Holdings;
    },
    logs: () => service.stdout.map((line) => JSON.parse(line) as LogLine),
    check,
    stop,
  };

  function check(): void {
    expect(service.child.exitCode, `the server is alive; stderr: ${service.stderr()}`).toBeNull();
    expect(service.stderr()).toBe("");
  }

  async function stopAndInspect(): Promise<void> {
    check();
    service.child.kill("SIGTERM");
    expect(await service.exit, service.stderr()).toBe(0);
    expect(service.stderr()).toBe("");
    inspectLog(service.stdout);
  }
}

/** One server for all attacks of a file, one after the other, with a canary; see startTarget. */
export function sharedTarget(environment?: Readonly<Record<string, string>>): () => Target {
  return share(() => {}, environment);
}

/** A shared server that has been busy before: what an attack costs is measured from there. */
export function warmTarget(environment?: Readonly<Record<string, string>>): () => Target {
  return share((target) => loadHonestly(target, WARM_UP_CALLS), environment);
}

function share(prepare: (target: Target) => void | Promise<void>, environment?: Readonly<Record<string, string>>) {
  let target: Target | undefined;
  // Whatever fails at the end, the processes end.
  const ends = new AsyncDisposableStack();
  const atEnd = (end: () => void | Promise<void>) => void ends.defer(end);
  beforeAll(async () => {
    const started = await startTarget(environment, atEnd);
    const before = await started.holdings("bytes");
    const sockets = await started.openSockets();
    atEnd(async () => {
      // What the last attacker has sent is held until his connection is gone.
      await noMoreSockets(started, sockets);
      const after = await started.holdings("bytes");
      expect((after.bytes - before.bytes) / MIB, "growth of memory in use, in MiB").toBeLessThan(LEAK_MIB);
    });
    await prepare(started);
    const canary = startCanary(started, atEnd);
    await canary.lap(1);
    target = { ...started, canary, warmBytes: await started.residentBytes() };
  }, 60_000);
  afterAll(() => ends.disposeAsync(), 60_000);
  return () => {
    if (target === undefined) throw new Error("the target has not been started");
    return target;
  };
}

/** Fails if a line is no JSON object, tells of a fatal error, or shows what nobody but its owner may see. */
function inspectLog(lines: readonly string[]): void {
  for (const line of lines) {
    const content: unknown = JSON.parse(line);
    expect(content, line).toBeTypeOf("object");
    expect(content, line).not.toMatchObject({ level: "fatal" });
    expect(line).not.toContain(MARK);
    expect(line).not.toContain(TOKEN_START);
  }
}

async function createUsers(port: number, token: string): Promise<string[]> {
  using client = createUserClient(`127.0.0.1:${port}`, { token });
  const users = Array.from({ length: USERS }, (_, index) => ({
    email: `${MARK}${index}@${MARK}.example`,
    name: `${MARK} number ${index}`,
  }));
  return (await client.createUsers(users)).userIds;
}

async function openSockets(pid: number): Promise<number> {
  const names = await readdir(`/proc/${pid}/fd`);
  const targets = await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => "")));
  return targets.filter((target) => target.startsWith("socket:")).length;
}
