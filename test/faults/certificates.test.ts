import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { ConnectError } from "@connectrpc/connect";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { TlsClientOptions } from "../../src/client/tls.ts";
import { createUserClient, type UserClient } from "../../src/client/user-client.ts";
import { toTlsIdentity } from "../../src/grpc/tls-files.ts";
import { CertificateAuthority, type CertificatePair } from "../support/certificates.ts";
import { FULL } from "../support/full.ts";
import { shakeHands } from "../support/handshake.ts";
import { PemFolder } from "../support/pem-folder.ts";
import { ADMIN, startTestServer, type TestServer, tokenFor } from "../support/server.ts";

const REPLACEMENTS = FULL ? 20 : 3;
/** Calls that each client makes at the least between two replacements. */
const CALLS_BETWEEN = FULL ? 50 : 2;
/** Calls that a client makes at the least while the files are broken. */
const CALLS_WHILE_BROKEN = FULL ? 5 : 2;
const LOOK_MS = 5;

let root: CertificateAuthority;

beforeAll(async () => {
  root = await CertificateAuthority.create();
});

/** A client whose calls fail rather than be tried again. */
async function clientOf({ port }: TestServer, tls: TlsClientOptions = {}): Promise<UserClient> {
  const channelOptions = { "grpc.enable_retries": 0 };
  const token = await tokenFor(ADMIN);
  return createUserClient(`localhost:${port}`, { token, tls: { ca: root.root, ...tls }, channelOptions });
}

/** How a call over a new connection ends: its code, or `ok`. */
async function callAnew(server: TestServer, tls?: TlsClientOptions): Promise<string> {
  using client = await clientOf(server, tls);
  return await client.listUsersPage({}).then(
    () => "ok",
    (error: unknown) => ConnectError.from(error).message,
  );
}

/** The certificate that new connections get. */
async function fingerprintOf({ port }: TestServer): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port, servername: "localhost", ca: root.root, ALPNProtocols: ["h2"] });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  socket
    .once("secureConnect", () => resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? ""))
    .on("error", reject);
  return promise.finally(() => socket.destroy());
}

function fingerprint(pair: CertificatePair): string {
  return toTlsIdentity({ ...pair, clientCa: undefined }).fingerprint;
}

/** Calls again and again, over one connection or over a new one each time, and keeps what went wrong. */
class Caller {
  readonly failures: string[] = [];
  readonly end: Promise<void>;
  #count = 0;
  #stopped = false;
  #waiting: (() => void) | undefined;
  readonly #call: () => Promise<string>;

  constructor(call: () => Promise<string>) {
    this.#call = call;
    this.end = this.#run();
  }

  /** Waits until so many more calls have ended. */
  async calls(count: number): Promise<void> {
    const goal = this.#count + count;
    while (this.#count < goal) await new Promise<void>((resolve) => (this.#waiting = resolve));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.end;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const outcome = await this.#call();
      if (outcome !== "ok") this.failures.push(outcome);
      this.#count++;
      this.#waiting?.();
    }
  }
}

/** How files are replaced: each of them leaves the server for a moment with a key that is not that of the certificate. */
const WAYS: readonly ((folder: PemFolder, pair: CertificatePair) => void)[] = [
  // In place, as an editor or `cat >` does.
  (folder, pair) => void folder.variables(pair),
  // One after the other, each by a name of its own first.
  ({ path }, { cert, key }) => {
    writeFileSync(join(path, "new.crt"), cert);
    writeFileSync(join(path, "new.key"), key);
    renameSync(join(path, "new.crt"), join(path, "tls.crt"));
    renameSync(join(path, "new.key"), join(path, "tls.key"));
  },
  // As Kubernetes does: the files are links into a folder, which is a link that is replaced.
  ({ path }, { cert, key }) => {
    const data = join(path, `..${Date.now()}-${Math.random()}`);
    mkdirSync(data);
    writeFileSync(join(data, "tls.crt"), cert);
    writeFileSync(join(data, "tls.key"), key);
    symlinkSync(data, join(path, "..data_tmp"));
    renameSync(join(path, "..data_tmp"), join(path, "..data"));
    for (const name of ["tls.crt", "tls.key"]) {
      rmSync(join(path, name));
      symlinkSync(join("..data", name), join(path, name));
    }
  },
];

describe("a server whose certificate is replaced", () => {
  it("fails no call, and shows new connections the new one", async () => {
    const folder = new PemFolder();
    const first = await root.server();
    const server = await startTestServer({ environment: folder.variables(first), tlsLookMs: LOOK_MS });
    const client = await clientOf(server);
    onTestFinished(() => client.close());
    const callers = [
      new Caller(() => callAnew(server)),
      new Caller(() => callAnew(server)),
      new Caller(() => outcomeOf(client)),
    ];

    expect(await fingerprintOf(server)).toBe(fingerprint(first));
    for (let count = 1; count <= REPLACEMENTS; count++) {
      const pair = await root.server();
      WAYS[count % WAYS.length]?.(folder, pair);
      await server.logs.waitFor("TLS files replaced", count);
      expect(await fingerprintOf(server)).toBe(fingerprint(pair));
      await Promise.all(callers.map((caller) => caller.calls(CALLS_BETWEEN)));
    }
    await Promise.all(callers.map((caller) => caller.stop()));
    expect(callers.map(({ failures }) => failures)).toEqual([[], [], []]);
    expect(server.logs.lines.filter(({ level }) => level === "error")).toEqual([]);
  });

  it("keeps the last one while the files are broken, and says so once", async () => {
    const folder = new PemFolder();
    const [first, second] = [await root.server(), await root.server()];
    const server = await startTestServer({ environment: folder.variables(first), tlsLookMs: LOOK_MS });
    const caller = new Caller(() => callAnew(server));
    const breaks: readonly (readonly [fault: RegExp, happen: () => void])[] = [
      [/tls.key: must be the key of the certificate/, () => folder.write("tls.crt", second.cert)],
      [/tls.crt: must hold certificates .*, whole/, () => folder.write("tls.crt", second.cert.slice(0, -50))],
      [/tls.key: must hold a private key/, () => folder.write("tls.key", second.key.slice(0, 50))],
      [/tls.crt: must be a readable file \(ENOENT\)/, () => rmSync(join(folder.path, "tls.crt"))],
    ];
    for (const [index, [, happen]] of breaks.entries()) {
      happen();
      await server.logs.waitFor("TLS files not usable, the last ones stay", index + 1);
      await caller.calls(CALLS_WHILE_BROKEN);
      expect(await fingerprintOf(server)).toBe(fingerprint(first));
    }
    const errors = server.logs.texts.map((text) => JSON.parse(text)).filter(({ level }) => level === "error");
    expect(errors).toHaveLength(breaks.length);
    for (const [index, [fault]] of breaks.entries()) expect(String(errors[index].faults)).toMatch(fault);

    folder.variables(second);
    await server.logs.waitFor("TLS files replaced");
    expect(await fingerprintOf(server)).toBe(fingerprint(second));
    await caller.stop();
    expect(caller.failures).toEqual([]);
  });
});

describe("a server whose client CA is replaced", () => {
  it("refuses the clients of the last one, also those who were there before, and lets open connections go on", async () => {
    const folder = new PemFolder();
    const next = await CertificateAuthority.create("the next root");
    const [pair, old, young] = await Promise.all([root.server(), root.client(), next.client()]);
    const server = await startTestServer({ environment: folder.variables(pair, root.root), tlsLookMs: LOOK_MS });
    const open = await clientOf(server, old);
    onTestFinished(() => open.close());
    expect(await outcomeOf(open)).toBe("ok");
    expect(await callAnew(server, young)).not.toBe("ok");
    const sessions = await sessionsOf(server, old);
    for (const session of sessions) expect(await resumes(server, old, session)).toBe(true);

    folder.variables(pair, next.root);
    await server.logs.waitFor("TLS files replaced");
    expect(await callAnew(server, young)).toBe("ok");
    expect(await callAnew(server, old)).not.toBe("ok");
    for (const session of sessions) expect(await resumes(server, old, session)).toBe(false);
    expect(await outcomeOf(open)).toBe("ok");
  });
});

async function outcomeOf(client: UserClient): Promise<string> {
  return client.listUsersPage({}).then(
    () => "ok",
    (error: unknown) => ConnectError.from(error).message,
  );
}

const VERSIONS = ["TLSv1.2", "TLSv1.3"] as const;

/** Sessions that a client may resume, of either version of TLS. */
function sessionsOf(server: TestServer, pair: CertificatePair): Promise<Buffer[]> {
  return Promise.all(
    VERSIONS.map(async (maxVersion) => {
      const socket = clientSocket(server, { ...pair, maxVersion });
      const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
      socket.once("session", resolve).on("error", reject).resume();
      return promise.finally(() => socket.destroy());
    }),
  );
}

/** Whether a client gets in with a session. */
async function resumes({ port }: TestServer, pair: CertificatePair, session: Buffer): Promise<boolean> {
  const { said } = await shakeHands(port, { ca: root.root, ...pair, session });
  return said !== undefined;
}

function clientSocket(
  { port }: TestServer,
  options: CertificatePair & { maxVersion: "TLSv1.2" | "TLSv1.3" },
): TLSSocket {
  const always = { host: "127.0.0.1", port, servername: "localhost", ca: root.root, ALPNProtocols: ["h2"] };
  return connect({ ...always, ...options });
}
