import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TokenConfig } from "../src/authentication-config.ts";
import { ConfigError, parseConfig } from "../src/config.ts";
import { CertificateAuthority } from "./support/certificates.ts";

const SECRET = "correct horse battery staple 1234";
const OTHER_SECRET = "another secret of at least 32 bytes";

type Environment = Record<string, string>;

function faultsOf(environment: Environment, args: readonly string[] = []): readonly string[] {
  try {
    parseConfig(environment, args);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

function secretOf(environment: Environment, args: readonly string[] = []): string | undefined {
  const source = tokensOf(environment, args)?.source;
  return source?.kind === "secret" ? Buffer.from(source.secret).toString() : undefined;
}

function tokensOf(environment: Environment, args: readonly string[] = []): TokenConfig | undefined {
  return parseConfig(environment, args).authentication?.tokens;
}

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "config-test-"));
});

afterAll(() => rmSync(folder, { recursive: true }));

/** The path of a new file with this content. */
function fileOf(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe("parseConfig", () => {
  it("has a default for everything", () => {
    expect(parseConfig({}, [])).toEqual({
      host: "0.0.0.0",
      port: 50051,
      gateway: { port: 8080, origins: [] },
      authentication: {
        tokens: {
          source: { kind: "secret", secret: expect.any(Uint8Array) },
          ephemeral: true,
          issuer: undefined,
          audience: undefined,
        },
        services: new Map(),
      },
      tls: undefined,
      pageTokenKey: undefined,
      database: undefined,
      changeRetention: { maxCount: 1_000_000, maxAgeMs: 7 * 24 * 3_600_000 },
      chatRetention: { maxCount: 10_000, maxAgeMs: 7 * 24 * 3_600_000 },
      maxUsersPerCall: 10_000,
      spooling: { directory: tmpdir(), maxBytes: 256 * 2 ** 20 },
      load: {
        perCaller: 0,
        perAddress: 0,
        burstMs: 1000,
        maxCallsInFlight: 5000,
        maxLiveStreams: 20_000,
      },
      connections: {
        maxConnections: 4000,
        maxPerAddress: 1000,
        maxConcurrentStreams: 1000,
        firstRequestTimeoutMs: 10_000,
        idleTimeoutMs: 900_000,
        maxAgeMs: 1_800_000,
        keepaliveTimeMs: 60_000,
        keepaliveTimeoutMs: 20_000,
        maxControlFrames: 100,
        maxInstantCancels: 250,
        shedsConnections: true,
        maxHeaderListSize: 16_384,
      },
      maxDecompressionBytes: 67_108_864,
      logLevel: "info",
      logFormat: undefined,
      shutdownDelayMs: 0,
      shutdownTimeoutMs: 10_000,
    });
  });

  it("reads every variable", () => {
    const environment = {
      HOST: "::1",
      PORT: "0",
      HTTP_PORT: "0",
      CORS_ORIGINS: "https://app.example.com, http://localhost:3000",
      AUTH: "jwt",
      ALLOW_INSECURE: "true",
      JWT_SECRET: SECRET,
      JWT_ISSUER: "issuer",
      JWT_AUDIENCE: "audience",
      PAGE_TOKEN_KEY: OTHER_SECRET,
      DATABASE_URL: "postgresql://users:secret@localhost/users",
      DATABASE_POOL_SIZE: "3",
      CHANGE_LOG_MAX_COUNT: "5",
      CHANGE_LOG_MAX_AGE: "2h",
      CHAT_HISTORY_MAX_COUNT: "6",
      CHAT_HISTORY_MAX_AGE: "3h",
      MAX_USERS_PER_CALL: "1",
      UPLOAD_DIRECTORY: "/spool",
      UPLOAD_MAX_BYTES: "9999999999",
      RATE_LIMIT_PER_CALLER: "11",
      RATE_LIMIT_PER_ADDRESS: "12",
      RATE_LIMIT_BURST: "13ms",
      MAX_CALLS_IN_FLIGHT: "14",
      MAX_LIVE_STREAMS: "15",
      MAX_CONNECTIONS: "9",
      MAX_CONNECTIONS_PER_ADDRESS: "0",
      MAX_CONCURRENT_STREAMS: "7",
      FIRST_REQUEST_TIMEOUT: "20ms",
      CONNECTION_IDLE_TIMEOUT: "24h",
      MAX_CONNECTION_AGE: "168h",
      KEEPALIVE_TIME: "0s",
      KEEPALIVE_TIMEOUT: "3s",
      MAX_CONTROL_FRAMES: "4",
      MAX_INSTANT_CANCELS: "5",
      SHED_CONNECTIONS: "off",
      MAX_HEADER_LIST_SIZE: "6",
      MAX_DECOMPRESSION_BYTES: "16777216",
      LOG_LEVEL: "silent",
      LOG_FORMAT: "pretty",
      SHUTDOWN_DELAY: "1500ms",
      SHUTDOWN_TIMEOUT: "2m",
      NODE_ENV: "production",
    };
    expect(parseConfig(environment, [])).toEqual({
      host: "::1",
      port: 0,
      gateway: { port: 0, origins: ["https://app.example.com", "http://localhost:3000"] },
      authentication: {
        tokens: {
          source: { kind: "secret", secret: Buffer.from(SECRET) },
          ephemeral: false,
          issuer: "issuer",
          audience: "audience",
        },
        services: new Map(),
      },
      tls: undefined,
      pageTokenKey: Buffer.from(OTHER_SECRET),
      database: { url: "postgresql://users:secret@localhost/users", poolSize: 3 },
      changeRetention: { maxCount: 5, maxAgeMs: 7_200_000 },
      chatRetention: { maxCount: 6, maxAgeMs: 10_800_000 },
      maxUsersPerCall: 1,
      spooling: { directory: "/spool", maxBytes: 9_999_999_999 },
      load: {
        perCaller: 11,
        perAddress: 12,
        burstMs: 13,
        maxCallsInFlight: 14,
        maxLiveStreams: 15,
      },
      connections: {
        maxConnections: 9,
        maxPerAddress: 0,
        maxConcurrentStreams: 7,
        firstRequestTimeoutMs: 20,
        idleTimeoutMs: 86_400_000,
        maxAgeMs: 604_800_000,
        keepaliveTimeMs: 0,
        keepaliveTimeoutMs: 3000,
        maxControlFrames: 4,
        maxInstantCancels: 5,
        shedsConnections: false,
        maxHeaderListSize: 6,
      },
      maxDecompressionBytes: 16_777_216,
      logLevel: "silent",
      logFormat: "pretty",
      shutdownDelayMs: 1500,
      shutdownTimeoutMs: 120_000,
    });
  });

  it("takes an empty value for an absent one", () => {
    const empty = Object.fromEntries(
      ["HOST", "PORT", "AUTH", "JWT_SECRET", "JWT_SECRET_FILE", "LOG_FORMAT", "SHUTDOWN_TIMEOUT"].map((name) => [
        name,
        "",
      ]),
    );
    const { host, port, logFormat, shutdownTimeoutMs } = parseConfig(empty, []);
    expect({ host, port, logFormat, shutdownTimeoutMs }).toEqual({
      host: "0.0.0.0",
      port: 50051,
      logFormat: undefined,
      shutdownTimeoutMs: 10_000,
    });
    expect(tokensOf(empty)?.ephemeral).toBe(true);
  });

  it.each([
    [
      "PORT",
      ["-1", "65536", "1.5", "1e3", "0x50", " 80", "80\n", "http", "٣", "99999999999"],
      "a whole number from 0 to 65535",
    ],
    ["AUTH", ["JWT", "off", "none "], "jwt, none"],
    ["ALLOW_INSECURE", ["yes", "1", "on", "TRUE", "False"], "true or false"],
    ["DATABASE_POOL_SIZE", ["0", "1001"], "a whole number from 1 to 1000"],
    ["CHANGE_LOG_MAX_COUNT", ["0", "-1"], "a whole number from 1 to 100000000"],
    ["CHANGE_LOG_MAX_AGE", ["7d", "8761h"], "a whole number with the unit ms, s, m or h, up to 8760h"],
    ["MAX_USERS_PER_CALL", ["0", "100001", "-5", "many"], "a whole number from 1 to 100000"],
    ["UPLOAD_MAX_BYTES", ["0", "10000000000", "1e9"], "a whole number from 1 to 9999999999"],
    ["MAX_CONNECTIONS", ["-1", "1000001", "unlimited"], "a whole number from 0 to 1000000"],
    ["MAX_CONCURRENT_STREAMS", ["0", "1000001"], "a whole number from 1 to 1000000"],
    ["FIRST_REQUEST_TIMEOUT", ["10", "2h"], "a whole number with the unit ms, s, m or h, up to 1h"],
    ["CONNECTION_IDLE_TIMEOUT", ["25h"], "a whole number with the unit ms, s, m or h, up to 24h"],
    ["MAX_CONNECTION_AGE", ["169h", "never"], "a whole number with the unit ms, s, m or h, up to 168h"],
    ["RATE_LIMIT_PER_CALLER", ["-1", "1000001", "0.5", "1/s"], "a whole number from 0 to 1000000"],
    ["RATE_LIMIT_BURST", ["1", "-1s", "2h"], "a whole number with the unit ms, s, m or h, up to 1h"],
    ["MAX_CALLS_IN_FLIGHT", ["-1", "1000001"], "a whole number from 0 to 1000000"],
    ["MAX_DECOMPRESSION_BYTES", ["0", "16777215", "10000000000"], "a whole number from 16777216 to 9999999999"],
    ["LOG_LEVEL", ["verbose", "INFO"], "trace, debug, info, warn, error, fatal, silent"],
    ["LOG_FORMAT", ["xml"], "json, pretty"],
    [
      "SHUTDOWN_DELAY",
      ["5", "5h", "2h", "-1s", "1.5s", "1 s", "s", "61m", "3601s", "3600001ms", "99999999ms"],
      "a whole number with the unit ms, s, m or h, up to 1h",
    ],
    ["SHUTDOWN_TIMEOUT", ["10", "ten seconds"], "a whole number with the unit ms, s, m or h, up to 1h"],
  ])("fails with the value and the range when %s is bad", (variable, values, allowed) => {
    for (const value of values)
      expect(faultsOf({ [variable]: value })).toEqual([`${variable}=${JSON.stringify(value)}: must be ${allowed}`]);
  });

  it.each([
    ["0ms", 0],
    ["1ms", 1],
    ["2s", 2000],
    ["3m", 180_000],
    ["60m", 3_600_000],
    ["1h", 3_600_000],
    ["3600s", 3_600_000],
    ["3600000ms", 3_600_000],
  ])("reads the duration %s", (text, ms) => {
    expect(parseConfig({ SHUTDOWN_DELAY: text, SHUTDOWN_TIMEOUT: text }, [])).toMatchObject({
      shutdownDelayMs: ms,
      shutdownTimeoutMs: ms,
    });
  });

  it.each(["localhost", "mysql://localhost/users", "postgres://local host/users"])(
    "fails without the value when DATABASE_URL is %j",
    (url) => {
      const fault = "DATABASE_URL: must be a URL such as postgres://user:password@host:5432/database";
      expect(faultsOf({ DATABASE_URL: url })).toEqual([fault]);
    },
  );

  it("fails with every fault at once", () => {
    const environment = {
      PORT: "http",
      AUTH: "password",
      ALLOW_INSECURE: "maybe",
      JWT_SECRET: "too short",
      PAGE_TOKEN_KEY_FILE: join(folder, "missing"),
      MAX_USERS_PER_CALL: "0",
      LOG_LEVEL: "loud",
      LOG_FORMAT: "xml",
      SHUTDOWN_DELAY: "soon",
      SHUTDOWN_TIMEOUT: "2h",
    };
    expect(faultsOf(environment)).toEqual([
      'PORT="http": must be a whole number from 0 to 65535',
      'AUTH="password": must be jwt, none',
      'ALLOW_INSECURE="maybe": must be true or false',
      "JWT_SECRET: must be at least 32 bytes",
      `PAGE_TOKEN_KEY_FILE="${join(folder, "missing")}": must be a readable file (ENOENT)`,
      'MAX_USERS_PER_CALL="0": must be a whole number from 1 to 100000',
      'LOG_LEVEL="loud": must be trace, debug, info, warn, error, fatal, silent',
      'LOG_FORMAT="xml": must be json, pretty',
      'SHUTDOWN_DELAY="soon": must be a whole number with the unit ms, s, m or h, up to 1h',
      'SHUTDOWN_TIMEOUT="2h": must be a whole number with the unit ms, s, m or h, up to 1h',
    ]);
  });

  it("says all faults in the error's message, one line each", () => {
    const environment = { PORT: "http\nhttps", LOG_LEVEL: "loud" };
    const faults = faultsOf(environment);
    expect(faults).toHaveLength(2);
    expect(() => parseConfig(environment, [])).toThrow(`the configuration is wrong: ${faults.join("; ")}`);
    for (const fault of faults) expect(fault).not.toContain("\n");
  });
});

describe("a secret", () => {
  it.each(["JWT_SECRET", "PAGE_TOKEN_KEY"])("never appears in a message: %s", (variable) => {
    const secret = "31 bytes, one byte short of 32.";
    const path = fileOf(`${variable}-short`, secret);
    const fault = `${variable}: must be at least 32 bytes`;
    expect(Buffer.byteLength(secret)).toBe(31);
    expect(faultsOf({ [variable]: secret })).toEqual([fault]);
    expect(faultsOf({ [`${variable}_FILE`]: path })).toEqual([fault]);
  });

  it("is counted in bytes", () => {
    expect(secretOf({ JWT_SECRET: "é".repeat(16) })).toBe("é".repeat(16));
    expect(faultsOf({ JWT_SECRET: "é".repeat(15) })).toHaveLength(1);
  });

  it.each([
    ["as it is", SECRET, SECRET],
    ["without the line feed at its end", `${SECRET}\n`, SECRET],
    ["without the line break at its end", `${SECRET}\r\n`, SECRET],
    ["without one line feed of two", `${SECRET}\n\n`, `${SECRET}\n`],
    ["with the spaces around it", ` ${SECRET} `, ` ${SECRET} `],
    ["with the line feed inside it", `a\n${SECRET}`, `a\n${SECRET}`],
  ])("is read from a file %s", (_, content, expected) => {
    const path = fileOf("secret", content);
    expect(secretOf({ JWT_SECRET_FILE: path })).toBe(expected);
    expect(Buffer.from(parseConfig({ PAGE_TOKEN_KEY_FILE: path }, []).pageTokenKey ?? "").toString()).toBe(expected);
  });

  it("from a file is not ephemeral", () => {
    expect(tokensOf({ JWT_SECRET_FILE: fileOf("kept", SECRET) })?.ephemeral).toBe(false);
  });

  it("fails with the path when its file cannot be read", () => {
    const missing = join(folder, "missing");
    expect(faultsOf({ JWT_SECRET_FILE: missing })).toEqual([
      `JWT_SECRET_FILE="${missing}": must be a readable file (ENOENT)`,
    ]);
    expect(faultsOf({ JWT_SECRET_FILE: folder })).toEqual([
      `JWT_SECRET_FILE="${folder}": must be a readable file (EISDIR)`,
    ]);
  });

  it("is too short when its file is empty", () => {
    for (const content of ["", "\n"]) {
      const path = fileOf("empty", content);
      expect(faultsOf({ JWT_SECRET_FILE: path })).toEqual(["JWT_SECRET: must be at least 32 bytes"]);
      expect(faultsOf({}, [`--page-token-key-file=${path}`])).toEqual(["PAGE_TOKEN_KEY: must be at least 32 bytes"]);
    }
  });

  it.each(["JWT_SECRET", "PAGE_TOKEN_KEY"])("fails when it is given twice in the environment: %s", (variable) => {
    const fault = `set one of ${variable} and ${variable}_FILE, not both`;
    const path = fileOf("twice", SECRET);
    for (const secret of [SECRET, OTHER_SECRET, "too short"])
      expect(faultsOf({ [variable]: secret, [`${variable}_FILE`]: path })).toEqual([fault]);
    expect(faultsOf({ [variable]: SECRET, [`${variable}_FILE`]: join(folder, "missing") })).toEqual([fault]);
  });

  it("is the only kind of setting that a file can hold", () => {
    expect(parseConfig({ PORT_FILE: fileOf("port", "1234") }, []).port).toBe(50051);
  });

  it("is made for each run if there is none", () => {
    const [one, other] = [secretOf({}), secretOf({})];
    expect(one).toBeDefined();
    expect(one).not.toBe(other);
  });
});

describe("a flag", () => {
  it("overrides its variable, in either form", () => {
    expect(parseConfig({ PORT: "1" }, ["--port", "2"]).port).toBe(2);
    expect(parseConfig({ PORT: "1" }, ["--port=2"]).port).toBe(2);
    expect(parseConfig({ MAX_USERS_PER_CALL: "1" }, ["--max-users-per-call=2"]).maxUsersPerCall).toBe(2);
  });

  it("overrides a variable whose value is bad", () => {
    expect(parseConfig({ PORT: "http" }, ["--port=2"]).port).toBe(2);
  });

  it("fails with the variable when its value is bad", () => {
    expect(faultsOf({ PORT: "1" }, ["--port=http"])).toEqual(['PORT="http": must be a whole number from 0 to 65535']);
  });

  it("without a value counts as absent", () => {
    expect(parseConfig({ PORT: "1" }, ["--port="]).port).toBe(1);
  });

  it("names the file of a secret", () => {
    const path = fileOf("flagged", SECRET);
    expect(secretOf({}, ["--jwt-secret-file", path])).toBe(SECRET);
    expect(secretOf({ JWT_SECRET_FILE: join(folder, "missing") }, ["--jwt-secret-file", path])).toBe(SECRET);
  });

  it("that names the file of a secret overrides the variable that holds the secret", () => {
    const path = fileOf("flagged", SECRET);
    expect(secretOf({ JWT_SECRET: OTHER_SECRET }, ["--jwt-secret-file", path])).toBe(SECRET);
  });

  it.each(["--jwt-secret", "--page-token-key"])("for a secret itself is refused without showing it: %s", (flag) => {
    for (const args of [[`${flag}=${SECRET}`], [flag, SECRET], ["--", `${flag}=${SECRET}`]]) {
      const faults = faultsOf({}, args);
      expect(faults).not.toEqual([]);
      expect(faults.join()).not.toContain(SECRET);
    }
  });

  it.each([["--bogus"], ["--bogus=1"], ["-p"], ["--no-port"], ["--PORT=1"], ["--max_users_per_call=1"]])(
    "that is unknown fails with its name: %s",
    (flag) => {
      expect(faultsOf({}, [flag])).toEqual([`Unknown option '${flag.split("=")[0]}'`]);
    },
  );

  it.each([[["serve"]], [["--", "serve"]], [["--port"]], [["--port", "--host=::1"]]])(
    "fails in one line: %j",
    (args) => {
      const faults = faultsOf({}, args);
      expect(faults).toHaveLength(1);
      expect(faults.join()).not.toContain("\n");
    },
  );

  it("without the value that it needs fails with its name, and hides no other fault", () => {
    expect(faultsOf({ NODE_ENV: "production" }, ["--port=http", "--jwt-secret-file"])).toEqual([
      "Option '--jwt-secret-file' needs a value",
      'PORT="http": must be a whole number from 0 to 65535',
    ]);
  });

  it("in the short form that other tools have is refused without showing its value", () => {
    expect(faultsOf({}, ["-psecret"])).toEqual(["Unknown option '-p'"]);
  });

  it("is all that an argument may be, and others are not shown", () => {
    expect(faultsOf({}, ["--port", "1", SECRET, "--", OTHER_SECRET])).toEqual([
      "Unexpected argument at position 3",
      "Unexpected argument at position 5",
    ]);
  });

  it("that is unknown hides no other fault", () => {
    expect(faultsOf({ LOG_LEVEL: "loud" }, ["--bogus", "--port=http", "--other"])).toEqual([
      "Unknown option '--bogus'",
      "Unknown option '--other'",
      'PORT="http": must be a whole number from 0 to 65535',
      'LOG_LEVEL="loud": must be trace, debug, info, warn, error, fatal, silent',
    ]);
  });

  it("that is unknown makes no fault of what other flags have set right", () => {
    expect(faultsOf({ PORT: "http" }, ["--bogus", "--port=1"])).toEqual(["Unknown option '--bogus'"]);
  });
});

describe("in production", () => {
  const NODE_ENV = "production";

  it("fails without a key of tokens", () => {
    const fault =
      "JWT_SECRET: must be set with NODE_ENV=production, or JWT_PUBLIC_KEY_FILE, JWT_JWKS_URL or TLS_CLIENT_IDENTITIES";
    expect(faultsOf({ NODE_ENV })).toEqual([fault]);
    expect(faultsOf({ NODE_ENV, JWT_SECRET: "" })).toEqual([fault]);
  });

  it("fails with one fault when the JWT_SECRET is set but bad", () => {
    expect(faultsOf({ NODE_ENV, JWT_SECRET: "too short" })).toEqual(["JWT_SECRET: must be at least 32 bytes"]);
    expect(faultsOf({ NODE_ENV, JWT_SECRET_FILE: folder })).toEqual([
      `JWT_SECRET_FILE="${folder}": must be a readable file (EISDIR)`,
    ]);
  });

  it("starts with a JWT_SECRET, however it is given", () => {
    expect(secretOf({ NODE_ENV, JWT_SECRET: SECRET })).toBe(SECRET);
    expect(secretOf({ NODE_ENV, JWT_SECRET_FILE: fileOf("production", SECRET) })).toBe(SECRET);
  });

  it("refuses AUTH=none", () => {
    const fault = 'AUTH="none": must be jwt with NODE_ENV=production, unless ALLOW_INSECURE=true';
    expect(faultsOf({ NODE_ENV, AUTH: "none" })).toEqual([fault]);
    expect(faultsOf({ NODE_ENV, AUTH: "none", JWT_SECRET: SECRET })).toEqual([fault]);
    expect(faultsOf({ NODE_ENV, AUTH: "none", ALLOW_INSECURE: "false" })).toEqual([fault]);
    expect(faultsOf({}, ["--node-env=production", "--auth=none"])).toEqual([fault]);
  });

  it("takes AUTH=none with ALLOW_INSECURE=true", () => {
    expect(parseConfig({ NODE_ENV, AUTH: "none", ALLOW_INSECURE: "true" }, []).authentication).toBeUndefined();
  });

  it("needs a JWT_SECRET despite ALLOW_INSECURE=true", () => {
    expect(faultsOf({ NODE_ENV, ALLOW_INSECURE: "true" })).toHaveLength(1);
  });
});

describe("out of production", () => {
  it.each(["", "development", "test", "staging"])("takes AUTH=none when NODE_ENV is %j", (NODE_ENV) => {
    expect(parseConfig({ NODE_ENV, AUTH: "none" }, []).authentication).toBeUndefined();
  });
});

describe("parseConfig and TLS", () => {
  let root: CertificateAuthority;
  let files: Record<"TLS_CERT_FILE" | "TLS_KEY_FILE" | "TLS_CLIENT_CA_FILE", string>;

  beforeAll(async () => {
    root = await CertificateAuthority.create();
    const { cert, key } = await root.server();
    files = {
      TLS_CERT_FILE: fileOf("tls.crt", cert),
      TLS_KEY_FILE: fileOf("tls.key", key),
      TLS_CLIENT_CA_FILE: fileOf("ca.crt", root.root),
    };
  });

  it("reads the files, from variables or flags", () => {
    const { TLS_CLIENT_CA_FILE, ...server } = files;
    expect(parseConfig(server, []).tls).toMatchObject({
      files: { cert: files.TLS_CERT_FILE, key: files.TLS_KEY_FILE, clientCa: undefined },
      identity: { requiresClientCertificate: false },
    });
    const { tls } = parseConfig(server, ["--tls-client-ca-file", TLS_CLIENT_CA_FILE]);
    expect(tls?.identity.requiresClientCertificate).toBe(true);
  });

  it("wants the certificate and the key, or neither", () => {
    const { TLS_CERT_FILE, TLS_KEY_FILE, TLS_CLIENT_CA_FILE } = files;
    expect(faultsOf({ TLS_CERT_FILE })).toEqual(["TLS_KEY_FILE: must be set with TLS_CERT_FILE"]);
    expect(faultsOf({ TLS_KEY_FILE })).toEqual(["TLS_CERT_FILE: must be set with TLS_KEY_FILE"]);
    expect(faultsOf({ TLS_CLIENT_CA_FILE })).toEqual([
      "TLS_CERT_FILE: must be set with TLS_CLIENT_CA_FILE",
      "TLS_KEY_FILE: must be set with TLS_CLIENT_CA_FILE",
    ]);
  });

  it("tells all that is wrong with the files, together with all else", () => {
    const secret = fileOf("secret.key", "a secret");
    const bad = { PORT: "x", TLS_CERT_FILE: "/none", TLS_KEY_FILE: secret, TLS_CLIENT_CA_FILE: secret };
    expect(faultsOf(bad)).toEqual([
      'PORT="x": must be a whole number from 0 to 65535',
      'TLS_CERT_FILE="/none": must be a readable file (ENOENT)',
      `TLS_KEY_FILE="${secret}": must hold a private key (PEM), not encrypted`,
      `TLS_CLIENT_CA_FILE="${secret}": must hold certificates (PEM), whole`,
    ]);
  });

  it("refuses the key of another certificate", async () => {
    const key = fileOf("other.key", (await root.server()).key);
    expect(faultsOf({ ...files, TLS_KEY_FILE: key })).toEqual([
      `TLS_KEY_FILE="${key}": must be the key of the certificate, but is another's`,
    ]);
  });
});
