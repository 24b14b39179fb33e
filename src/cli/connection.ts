import { readFileSync } from "node:fs";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { readFailure } from "../client/failure.ts";
import { staysLocal } from "../client/plain-text.ts";
import type { TlsClientOptions } from "../client/tls.ts";
import { sendToken, type Token } from "../client/token.ts";
import { createUserClient, type UserClient } from "../client/user-client.ts";
import type { Principal } from "../domain/principal.ts";
import { EX_CONFIG, EX_NOINPUT, EX_UNAVAILABLE } from "../exit-codes.ts";
import type { SigningOptions } from "../interceptors/token.ts";
import { CommandError, type Options, UsageError, type Values } from "./command.ts";
import { printable, type Terminal } from "./terminal.ts";
import { readDuration } from "./values.ts";

/** The options of every command that calls a server. */
export const CONNECTION_OPTIONS = {
  address: {
    type: "string",
    value: "HOST:PORT",
    about: "where the server is, as gRPC names it",
    variable: "ADDRESS",
    default: "localhost:50051",
  },
  token: {
    type: "string",
    value: "TOKEN",
    about: "sent with each call; without one, made with JWT_SECRET if that is set",
    variable: "TOKEN",
  },
  tls: { type: "boolean", about: "call over TLS, and trust the authorities that Node.js knows" },
  "ca-file": { type: "string", value: "FILE", about: "call over TLS, and trust these (PEM)", variable: "CA_FILE" },
  "cert-file": {
    type: "string",
    value: "FILE",
    about: "certificate of the client (PEM)",
    variable: "CLIENT_CERT_FILE",
  },
  "key-file": { type: "string", value: "FILE", about: "its private key (PEM)", variable: "CLIENT_KEY_FILE" },
  plaintext: { type: "boolean", about: "send the token to another machine although nothing encrypts it" },
  metadata: { type: "string", value: "NAME=VALUE", about: "sent with each call", multiple: true },
  timeout: { type: "string", value: "DURATION", about: "limit of each call that ends by itself, such as 500ms or 10s" },
} as const satisfies Options;

/** What the exit statuses of commands mean that call a server. */
export const CONNECTION_EXITS = {
  1: "a call failed",
  [EX_NOINPUT]: "a file cannot be read",
  [EX_UNAVAILABLE]: "nothing serves at the address",
  [EX_CONFIG]: "the key of tokens is wrong",
} as const;

/** How a server is called. */
export interface Connection {
  readonly address: string;
  /** Undefined if nothing is known with which to prove who calls. */
  readonly token: Token | undefined;
  /** With which tokens of anybody can be made, if it is known. */
  readonly key: SigningOptions | undefined;
  readonly tls: boolean | TlsClientOptions;
  /** Sent with each call. */
  readonly metadata: Headers;
  /** Undefined for what the contract states. */
  readonly timeoutMs: number | undefined;
}

/** A token that is made here is made again long before it expires. */
const TOKEN_SECONDS = 600;
const RENEWAL_MS = 60_000;

/**
 * Reads how the server is to be called. `name` is who calls, where a token has to be made.
 *
 * @throws CommandError if that is not as it must be.
 */
export async function readConnection(
  values: Values<typeof CONNECTION_OPTIONS>,
  { environment }: Terminal,
  name: string,
): Promise<Connection> {
  const key = await readKey(environment, values.token !== undefined);
  const connection = {
    address: values.address,
    token: values.token ?? (key && renewed(() => mint(key, { id: name, role: "admin" }))),
    key,
    tls: readTls(values),
    metadata: readMetadata(values.metadata),
    timeoutMs: values.timeout === undefined ? undefined : readDuration("timeout", values.timeout),
  };
  if (connection.token !== undefined && connection.tls === false && !values.plaintext && !staysLocal(values.address)) {
    throw new UsageError(
      `The token would travel to ${values.address} unencrypted: add --tls or --ca-file FILE, or else --plaintext.`,
    );
  }
  return connection;
}

/** A client of the service, with what is sent along with each call. */
export function clientOf({ address, token, tls, metadata, timeoutMs }: Connection): UserClient {
  return createUserClient(address, {
    ...(token !== undefined && { token }),
    tls,
    interceptors: [sendMetadata(metadata)],
    ...(timeoutMs !== undefined && { defaultTimeoutMs: timeoutMs }),
  });
}

/** What each call carries, for a transport of one's own. */
export function interceptorsOf({ token, metadata }: Connection): Interceptor[] {
  return [sendMetadata(metadata), ...(token === undefined ? [] : [sendToken(token)])];
}

/** Makes a token of somebody. */
export async function mint(key: SigningOptions, principal: Principal): Promise<string> {
  const { signToken } = await import("../interceptors/token.ts");
  return signToken(key, principal, TOKEN_SECONDS);
}

/** Tells the user why a call failed. What no call has thrown is thrown as it is. */
export function explain(error: unknown, { address, token }: Connection): CommandError {
  if (!(error instanceof ConnectError)) throw error;
  const { code, message, reason, violations } = readFailure(error);
  if (wantsTls(error)) return inPlainText(address);
  // What serves tells why it cannot.
  if (error.code === Code.Unavailable && reason === undefined) {
    return unreachable(address, message);
  }
  if (error.code === Code.Unauthenticated && token === undefined) {
    return new CommandError(1, "The server wants a token: export TOKEN=..., as it printed it, or JWT_SECRET.");
  }
  const details = violations.map(({ field, description }) => `\n  ${field}: ${description}`);
  return new CommandError(1, `${code}: ${message}${details.join("")}`);
}

/** Whether a call failed because the server speaks TLS, and the call came in plain text. */
export function wantsTls(error: unknown): boolean {
  return readFailure(error).reason === "TLS_REQUIRED";
}

/** Tells the user that a server speaks TLS, which they do not. */
export function inPlainText(address: string): CommandError {
  return new CommandError(EX_UNAVAILABLE, `The server at ${address} speaks TLS: call it with --tls or --ca-file.`);
}

/** Tells the user that nobody is there to be called; `message` is what grpc-js says of it. */
export function unreachable(address: string, message: string): CommandError {
  const hint = staysLocal(address) ? " Start it with: npm start" : "";
  return new CommandError(EX_UNAVAILABLE, `Nothing serves at ${address}: ${causeOf(message)}.${hint}`);
}

/** Why there is no connection: the part of what grpc-js says that is of use, on one line. */
export function causeOf(message: string): string {
  const [, cause = message] = /.*Last error: (?:Error: )?([^\n]*?)(?:\n|\. Resolution note)/s.exec(message) ?? [];
  return cause === "null" ? "no connection" : printable(cause);
}

async function readKey(environment: NodeJS.ProcessEnv, hasToken: boolean): Promise<SigningOptions | undefined> {
  const names = ["JWT_SECRET", "JWT_SECRET_FILE", ...(hasToken ? [] : ["JWT_PUBLIC_KEY_FILE", "JWT_JWKS_URL"])];
  if (!names.some((variable) => environment[variable])) return undefined;
  // Reading the settings of the service takes longer than most commands.
  const { readTokenKey } = await import("./token-key.ts");
  return readTokenKey(environment);
}

function renewed(make: () => Promise<string>): () => Promise<string> {
  let made: Promise<string> | undefined;
  let madeAt = 0;
  return () => {
    const now = performance.now();
    if (made !== undefined && now - madeAt < RENEWAL_MS) return made;
    madeAt = now;
    made = make();
    return made;
  };
}

function readTls(values: Values<typeof CONNECTION_OPTIONS>): boolean | TlsClientOptions {
  const { "ca-file": ca, "cert-file": cert, "key-file": key, tls } = values;
  if ((cert === undefined) !== (key === undefined)) throw new UsageError("--cert-file and --key-file go together");
  if (ca === undefined && cert === undefined) return tls;
  return {
    ...(ca !== undefined && { ca: readPem(ca) }),
    ...(cert !== undefined && { cert: readPem(cert) }),
    ...(key !== undefined && { key: readPem(key) }),
  };
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CommandError(EX_NOINPUT, error instanceof Error ? error.message : String(error));
  }
}

function readMetadata(pairs: readonly string[]): Headers {
  const headers = new Headers();
  for (const pair of pairs) {
    const [, name = "", value = ""] = /^([\w.-]+)=(.*)$/s.exec(pair) ?? [];
    if (name === "") throw new UsageError("--metadata must be NAME=VALUE, such as x-request-id=42");
    try {
      headers.append(name, value);
    } catch {
      throw new UsageError(`--metadata ${name} has a value that no header can have`);
    }
  }
  return headers;
}

function sendMetadata(metadata: Headers): Interceptor {
  return (next) => (request) => {
    for (const [name, value] of metadata) if (!request.header.has(name)) request.header.set(name, value);
    return next(request);
  };
}
