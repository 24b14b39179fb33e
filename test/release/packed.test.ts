import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "../../src/gen/health/v1/health_pb.ts";
import { startProcess } from "../support/process.ts";
import { ADMIN, JWT_SECRET, startTestServer, tokenFor } from "../support/server.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MODULES = join(ROOT, "node_modules");
/** What has another path each time is not to be cached. */
const NO_COMPILE_CACHE = { NODE_DISABLE_COMPILE_CACHE: "1" };

/** The compiler, which is a program in Go, collects garbage less often: half of its work otherwise. */
const ENVIRONMENT = {
  ...process.env,
  PATH: [join(MODULES, ".bin"), process.env.PATH].join(delimiter),
  GOGC: "800",
  ...NO_COMPILE_CACHE,
};

/** What the client and the stubs need. The rest of the dependencies is the server's, and not there. */
const NEEDED = ["@bufbuild", "@connectrpc", "@grpc", "@types", "oauth4webapi", "ot-text-unicode", "unicount"];

/** What the package gives to tests is a server, and needs all of it; that some of it is linked already, does not matter. */
const NEEDED_BY_SERVERS = [
  "csv-parse",
  "grpc-health-check",
  "jose",
  "node-pg-migrate",
  "p-limit",
  "pg",
  "pino",
  "pino-pretty",
  "zod",
];

const TYPES = `
import { type CallOptions, type Client, Code, ConnectError } from "@connectrpc/connect";
import { createUserClient, type UserClient } from "user-service/client";
import { joinRoom, type Room } from "user-service/client/chat";
import { type Editor, edit } from "user-service/client/edit";
import { type Failure, readFailure } from "user-service/client/failure";
import { inherit } from "user-service/client/inherit";
import { listAll } from "user-service/client/list-all";
import { clientCredentials } from "user-service/client/oauth";
import { upload } from "user-service/client/upload";
import { type WatchOptions, watch } from "user-service/client/watch";
import { type GrpcClient, UserServiceClient } from "user-service/grpc-js";
import { createFake, type Script, type TestServer } from "user-service/testing";
import { type User, UserRole } from "user-service/gen/user/v1/user_pb";
import { UserService } from "user-service/gen/user/v1/user_service_pb";

using client: UserClient = createUserClient("localhost:50051", { token: async () => "token", defaultTimeoutMs: 100 });
export const plain: Client<typeof UserService> = client;
const options: CallOptions = { timeoutMs: 5, signal: AbortSignal.timeout(5) };
const users: User[] = await Array.fromAsync(client.listUsers({ pageSize: 3 }, options));
export const admins = users.filter(({ role }) => role === UserRole.ADMIN);
export const { createdCount } = await client.createUsers(new Set([{ email: "ada@example.com", name: "Ada" }]));
// @ts-expect-error because it must not compile: a user to create has no id.
await client.createUsers([{ id: "ada" }]);
// @ts-expect-error because it must not compile: a timeout is a number.
createUserClient("localhost:50051", { defaultTimeoutMs: "5s" });
export const plainest: CallOptions = inherit({ signal: options.signal!, requestHeader: new Headers(), timeoutMs: () => 5 });
export const everybody: User[] = await Array.fromAsync(listAll(plain));
const following: WatchOptions = { snapshot: true, onExpired: "snapshot" };
for await (const { user } of watch(plain, following)) console.log(user?.id);
export const room: Room = joinRoom(plain, "lobby", { afterSequence: 3n });
export const rows: bigint = (await upload(plain, "users.csv")).rowCount;
export const editor: Editor = await edit(plain, "ada");
export const failure: Failure = readFailure(new Error());
export const token: () => Promise<string> = clientCredentials({ tokenEndpoint: "", clientId: "", clientSecret: "" });
export const callbacks: (client: GrpcClient<typeof UserService>) => void = (of) => of.getUser({ id: "" }, () => {});
export const make: typeof UserServiceClient = UserServiceClient;
export const script: Script = { getUser: async ({ id }) => ({ user: { id } }) };
export const fake: TestServer = await createFake(script);
// @ts-expect-error because it must not compile: a fake answers with what the method answers.
export const wrong: Script = { getUser: async () => ({ user: 5 }) };
// @ts-expect-error because it must not compile: there is no such method.
export const unknown: Script = { getUsers: async () => ({}) };
export const missing = (error: unknown) => ConnectError.from(error).code === Code.NotFound;
`;

const TSCONFIG = {
  compilerOptions: {
    target: "esnext",
    module: "nodenext",
    types: ["node"],
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true,
  },
  include: ["*.ts"],
};

/** The blocks of code of a page: those that run, one after another as a program, and those that are only compiled. */
function codeOf(page: string): { readonly program: string; readonly others: readonly string[] } {
  const blocksOf = (fence: string) => [...page.matchAll(new RegExp(`^\`\`\`${fence}\\n(.*?)^\`\`\``, "gms"))];
  const [running, others] = ["ts", "typescript"].map((fence) => blocksOf(fence).map(([, code = ""]) => code)) as [
    string[],
    string[],
  ];
  // An import may stand anywhere.
  return { program: running.join("\n"), others };
}

/** Prints the files that each of some imports loads, beyond those before it. */
const TRACE = `
import { registerHooks } from "node:module";
let loaded;
registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
const traces = {};
for (const specifier of process.argv.slice(2)) {
  loaded = [];
  await import(specifier);
  traces[specifier] = loaded;
}
console.log(JSON.stringify(traces));
`;

/** The paths of the files with this extension, without it. */
async function modulesIn(folder: string, extension: string): Promise<Set<string>> {
  const files = await readdir(folder, { recursive: true });
  return new Set(files.filter((file) => file.endsWith(extension)).map((file) => file.slice(0, -extension.length)));
}

describe("the package", () => {
  let project: string;
  /** What `npm run build` has made, which packing runs. */
  let dist: string;

  beforeAll(async () => {
    project = await mkdtemp(join(tmpdir(), "packed-"));
    await run("npm", ["pack", "--pack-destination", project], { cwd: ROOT, env: ENVIRONMENT });
    const unpacked = join(project, "node_modules/user-service");
    await mkdir(unpacked, { recursive: true });
    dist = join(unpacked, "dist");
    const { name, version } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
    await run("tar", ["-xzf", join(project, `${name}-${version}.tgz`), "--strip-components=1", "-C", unpacked]);
    for (const each of [...NEEDED, ...NEEDED_BY_SERVERS])
      await symlink(join(MODULES, each), join(project, "node_modules", each));

    const readme = await readFile(join(ROOT, "README.md"), "utf8");
    const guide = codeOf(await readFile(join(ROOT, "docs/client.md"), "utf8"));
    const files: Record<string, string> = {
      "guide.ts": guide.program,
      ...Object.fromEntries(guide.others.map((code, index) => [`guide-${index}.ts`, code])),
      "package.json": JSON.stringify({ type: "module" }),
      "tsconfig.json": JSON.stringify(TSCONFIG),
      "types.ts": TYPES,
      "readme.ts": /```ts\n(.*?)```/s.exec(readme)?.[1] ?? "",
      "trace.js": TRACE,
    };
    for (const [file, text] of Object.entries(files)) await writeFile(join(project, file), text);
  }, 60_000);

  afterAll(() => rm(project, { recursive: true }));

  /** Runs a file of the project, and returns what it prints. */
  async function node(file: string, args: string[] = [], env: Record<string, string> = {}): Promise<string> {
    const { stdout } = await run(process.execPath, [file, ...args], { cwd: project, env: { ...process.env, ...env } });
    return stdout;
  }

  /** The files of the package that each import of it loads, beyond those before it. */
  async function loadedBy(...specifiers: string[]): Promise<string[][]> {
    const traces: Record<string, string[]> = JSON.parse(await node("trace.js", specifiers));
    return Object.values(traces).map((urls) =>
      urls.flatMap((url) => url.split("/node_modules/user-service/")[1] ?? []),
    );
  }

  it("has every file of src compiled, the generated ones included", async () => {
    expect(await modulesIn(dist, ".js")).toEqual(await modulesIn(join(ROOT, "src"), ".ts"));
  });

  it("has no import of TypeScript", async () => {
    for (const module of await modulesIn(dist, ".js")) {
      expect(await readFile(join(dist, `${module}.js`), "utf8"), module).not.toMatch(/(from|import) ?\(?"\.[^"]*\.ts"/);
    }
  });

  it("has a service that answers and stops", async () => {
    const service = startProcess(
      { JWT_SECRET, NODE_ENV: "production", ...NO_COMPILE_CACHE },
      [],
      join(dist, "main.js"),
    );
    const baseUrl = `http://127.0.0.1:${await service.port}`;
    const { status } = await createClient(Health, createGrpcTransport({ baseUrl })).check({});
    expect(status).toBe(ServingStatus.SERVING);
    service.child.kill("SIGTERM");
    expect(await service.exit).toBe(0);
  });

  it("has a command that finds a server right", async () => {
    const { address } = await startTestServer();
    const command = join(project, "node_modules/user-service/dist/cli/user-service.js");
    const report = await node(command, ["check", "--json", "--iterations", "1"], { ADDRESS: address, JWT_SECRET });
    expect(JSON.parse(report)).toMatchObject({ address, ok: true });
    expect(await node(command, ["--version"])).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it("has the types that it says", async () => {
    const { stdout } = await run("tsc", ["-p", project, "--checkers", "1"], { env: ENVIRONMENT }).catch(
      (error) => error,
    );
    expect(stdout).toBe("");
  });

  /** What a program of the documentation prints, which calls a server of its own. */
  async function printedBy(name: string): Promise<string> {
    const { address } = await startTestServer();
    const file = join(project, name);
    await writeFile(file, (await readFile(file, "utf8")).replaceAll("localhost:50051", address));
    return node(name, [], { TOKEN: await tokenFor(ADMIN) });
  }

  it("runs the code of the README", async () => {
    const printed = await printedBy("readme.ts");
    expect(printed).toMatch(/^[0-9a-f-]{36} Grace\n/);
    expect(printed).toContain("reason: 'STRING_MIN_BYTES'");
  });

  it("runs the code of docs/client.md", async () => {
    const printed = await printedBy("guide.ts");
    for (const line of [
      /^user.v1.UserService\/GetUser OK \d+ 1 /m,
      /^ALREADY_EXISTS EMAIL_TAKEN \[\] undefined [0-9a-f]+-\d+$/m,
      /^[0-9a-f-]{36} Hedy$/m,
      /^1n (admin|root) hello$/m,
      /^31 of 31 bytes$/m,
      /^1n \[\]$/m,
    ]) {
      expect(printed).toMatch(line);
    }
    expect(printed).toContain("[ 'getUser', [");
  }, 60_000);

  it("loads no code but stubs with the stubs, and none of the server with the client, but only what is asked for", async () => {
    const entries = ["list-all", "watch", "chat", "upload", "edit", "failure", "inherit", "oauth"];
    const [stubs = [], client = [], ...others] = await loadedBy(
      "user-service/gen/user/v1/user_service_pb",
      "user-service/client",
      ...entries.map((entry) => `user-service/client/${entry}`),
    );
    expect(stubs).toContain("dist/gen/user/v1/user_pb.js");
    expect(stubs.filter((path) => !path.startsWith("dist/gen/"))).toEqual([]);
    expect(client).toContain("dist/client/user-client.js");
    for (const part of ["list-all", "watch", "chat", "upload", "edit/edit", "oauth"]) {
      expect(client).not.toContain(`dist/client/${part}.js`);
      expect(others.flat()).toContain(`dist/client/${part}.js`);
    }
    expect([...client, ...others.flat()].filter((path) => !/^dist\/(client|contract|gen)\//.test(path))).toEqual([]);
  });

  it("holds the contract", async () => {
    const contract = "proto/user/v1/user_service.proto";
    const packed = await readFile(join(project, "node_modules/user-service", contract), "utf8");
    expect(packed).toBe(await readFile(join(ROOT, contract), "utf8"));
  });
});
