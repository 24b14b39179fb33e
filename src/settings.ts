import { z } from "zod";
import { isDatabaseUrl } from "./repository/postgres/connection.ts";
import {
  duration,
  FLAG,
  isHttpUrl,
  isOrigin,
  oneOf,
  PATH,
  readServices,
  SECRET,
  type Setting,
  wholeNumber,
} from "./setting-schemas.ts";

/** Every environment variable that the service reads. The flag of PAGE_TOKEN_KEY_FILE is --page-token-key-file. */
export const SETTINGS = {
  HOST: {
    about: "Address to listen on",
    allowed: "a host name or an IP address",
    fallback: "0.0.0.0",
    schema: z.string(),
  },
  PORT: {
    about: "Port of the gRPC server; 0 takes a free one",
    ...wholeNumber(0, 65_535),
    fallback: "50051",
  },
  HTTP_PORT: {
    about: "Port of the gateway, which serves Connect and gRPC-Web to browsers and curl; none for no gateway",
    allowed: "a whole number from 0 to 65535, or none",
    fallback: "8080",
    schema: z.union([z.literal("none").transform(() => undefined), wholeNumber(0, 65_535).schema]),
  },
  CORS_ORIGINS: {
    about: "Origins of the web pages whose scripts may call the gateway; * for all",
    allowed: "origins such as https://app.example.com, separated by commas, or *",
    schema: z
      .string()
      .transform((text) => text.split(",").map((origin) => origin.trim()))
      .refine((origins) => origins.every(isOrigin)),
  },
  AUTH: {
    about:
      "How callers prove who they are: jwt by tokens or client certificates; with none, everybody acts as an admin",
    ...oneOf("jwt", "none"),
    fallback: "jwt",
  },
  ALLOW_INSECURE: {
    about: "Whether AUTH=none is accepted in production, and http to another host for JWT_JWKS_URL",
    ...FLAG,
    fallback: "false",
  },
  JWT_SECRET: {
    about:
      "Key of the HMAC of tokens (HS256); made anew at each start if no key of tokens is set, but in production one must be",
    ...SECRET,
  },
  JWT_PUBLIC_KEY_FILE: {
    about: "File of the public key of tokens (RS256, PS256, ES256 or EdDSA), in place of JWT_SECRET",
    allowed: "the path of a PEM (SPKI, X.509), a JWK or a JWKS; RSA of 2048 bits or more, EC P-256 or Ed25519",
    schema: z.string(),
  },
  JWT_JWKS_URL: {
    about: "Where the issuer publishes the public keys of tokens, in place of JWT_SECRET",
    allowed: "an https URL without a password, or http to this host",
    schema: z
      .string()
      .refine(isHttpUrl)
      .transform((text) => new URL(text)),
  },
  JWT_ISSUER: { about: "Issuer (iss) that tokens must have", allowed: "any text", schema: z.string() },
  JWT_AUDIENCE: { about: "Audience (aud) that tokens must have", allowed: "any text", schema: z.string() },
  TLS_CERT_FILE: {
    about: "Certificate of the server (PEM), followed by those between it and a root; plain text if absent",
    ...PATH,
  },
  TLS_KEY_FILE: { about: "Private key of the certificate (PEM, not encrypted)", ...PATH },
  TLS_CLIENT_CA_FILE: {
    about: "Certificates (PEM) of those who sign the certificates that clients then must have; none needed if absent",
    ...PATH,
  },
  TLS_CLIENT_IDENTITIES: {
    about: "Which services their client certificates stand for, by subject alternative names; none if absent",
    allowed: "a list such as URI:spiffe://example.org/importer=importer, DNS:billing.internal=billing",
    schema: z.string().transform(readServices),
  },
  PAGE_TOKEN_KEY: {
    about:
      "Key of page tokens and of what is kept of creation requests, the same for all replicas; if absent, made once and kept in the database, or made anew at each start",
    ...SECRET,
  },
  DATABASE_URL: {
    about: "PostgreSQL database that keeps the users; in memory if absent",
    allowed: "a URL such as postgres://user:password@host:5432/database",
    secret: true,
    schema: z.string().refine(isDatabaseUrl),
  },
  DATABASE_POOL_SIZE: {
    about: "How many connections to the database calls may use at a time",
    ...wholeNumber(1, 1000),
    fallback: "10",
  },
  CHANGE_LOG_MAX_COUNT: {
    about: "How many changes of users are kept at most, for those who follow them",
    ...wholeNumber(1, 100_000_000),
    fallback: "1000000",
  },
  CHANGE_LOG_MAX_AGE: {
    about: "How long changes of users are kept",
    ...duration(8760),
    fallback: "168h",
  },
  CHAT_HISTORY_MAX_COUNT: {
    about: "How many texts of a chat room are kept at most",
    ...wholeNumber(1, 10_000_000),
    fallback: "10000",
  },
  CHAT_HISTORY_MAX_AGE: {
    about: "How long texts of chat rooms are kept",
    ...duration(8760),
    fallback: "168h",
  },
  // The ids of more than 100 000 users would not fit into the 4 MiB that clients receive by default.
  MAX_USERS_PER_CALL: {
    about: "How many users one CreateUsers call may create",
    ...wholeNumber(1, 100_000),
    fallback: "10000",
  },
  UPLOAD_DIRECTORY: {
    about:
      "Directory that keeps an uploaded file while it is imported; that of the system for temporary files if absent",
    ...PATH,
  },
  UPLOAD_MAX_BYTES: {
    about: "Size of the largest file that can be uploaded, in bytes",
    ...wholeNumber(1, 9_999_999_999),
    fallback: "268435456",
  },
  // Off, for only the operator knows how much one caller may honestly want: a service may call for thousands of users.
  RATE_LIMIT_PER_CALLER: {
    about: "How many calls a second one caller may make; 0 for no limit",
    ...wholeNumber(0, 1_000_000),
    fallback: "0",
  },
  // Off, because behind a proxy all calls come from one address.
  RATE_LIMIT_PER_ADDRESS: {
    about: "How many calls a second may come from one address (IPv6: one /64), with a token or without; 0 for no limit",
    ...wholeNumber(0, 1_000_000),
    fallback: "0",
  },
  RATE_LIMIT_BURST: {
    about: "How long calls that were not made can be saved up, to be made at once",
    ...duration(),
    fallback: "1s",
  },
  // Half a second of the quickest calls. Each takes some 10 KB, and what its messages take.
  MAX_CALLS_IN_FLIGHT: {
    about:
      "How many calls may be in flight at most, live streams not counted; fewer while these do not end in time; 0 for no limit",
    ...wholeNumber(0, 1_000_000),
    fallback: "5000",
  },
  // An idle one takes up to 10 KB: 200 MB.
  MAX_LIVE_STREAMS: {
    about: "How many streams that live until someone ends them may be open; 0 for no limit",
    ...wholeNumber(0, 1_000_000),
    fallback: "20000",
  },
  // Each costs some 30 KiB while nothing happens on it: with 4000, 120 MiB. More is a matter of more replicas.
  MAX_CONNECTIONS: {
    about: "How many connections are kept; 0 for no limit",
    ...wholeNumber(0, 1_000_000),
    fallback: "4000",
  },
  // One address cannot take all. It may stand for an office or a load balancer, so it gets a quarter.
  MAX_CONNECTIONS_PER_ADDRESS: {
    about: "How many connections one IPv4 address or IPv6 network (/64) may have; 0 for no limit",
    ...wholeNumber(0, 1_000_000),
    fallback: "1000",
  },
  // Proxies put many callers on one connection. Beyond it, clients queue.
  MAX_CONCURRENT_STREAMS: {
    about: "How many calls one connection may have open at a time",
    ...wholeNumber(1, 1_000_000),
    fallback: "1000",
  },
  // Honest clients call at once. Slow networks need some seconds for TLS.
  FIRST_REQUEST_TIMEOUT: {
    about: "Time that a connection has to begin its first call; 0s for no limit",
    ...duration(),
    fallback: "10s",
  },
  // Clients connect again in milliseconds, so idle connections are worth little.
  CONNECTION_IDLE_TIMEOUT: {
    about: "Time without a call after which a connection is closed; 0s for no limit",
    ...duration(24),
    fallback: "15m",
  },
  // Short enough that calls spread over new replicas within the hour, long enough that resuming costs nothing.
  MAX_CONNECTION_AGE: {
    about: "Age, give or take a tenth, at which connections and streams without a deadline begin anew; 0s for no limit",
    ...duration(168),
    fallback: "30m",
  },
  KEEPALIVE_TIME: {
    about: "Time between two questions (PING) whether the peer of a connection is still there; 0s to ask never",
    ...duration(24),
    fallback: "1m",
  },
  // As in gRFC A8.
  KEEPALIVE_TIMEOUT: {
    about: "Time that the peer has to answer",
    ...duration(),
    fallback: "20s",
  },
  // Clients that ask every 10 s, as often as gRPC lets them, send 6.
  MAX_CONTROL_FRAMES: {
    about: "How many PING and SETTINGS frames and faulty streams a connection may send in a minute; 0 for no limit",
    ...wholeNumber(0, 1_000_000),
    fallback: "100",
  },
  // Honest clients do so with what has piled up while the server was late; but an attack is felt for as long as it is
  // let on.
  MAX_INSTANT_CANCELS: {
    about: "How many calls a connection may open and cancel in one go in a second; 0 for no limit",
    ...wholeNumber(0, 1_000_000),
    fallback: "250",
  },
  // Where calls are cheap, to refuse them costs as much as to serve them.
  SHED_CONNECTIONS: {
    about:
      "Whether the connections that call most are told to call elsewhere, and new ones wait, while refused calls take the time of others",
    ...oneOf("on", "off"),
    fallback: "on",
  },
  // Twice what gRPC asks of servers, and room for the longest token.
  MAX_HEADER_LIST_SIZE: {
    about: "How large the headers of a call may be, in bytes as HTTP/2 counts them; 0 for no limit but that of Node.js",
    ...wholeNumber(0, 1_000_000),
    fallback: "16384",
  },
  // Four calls at a time: as many as Node has threads for it.
  MAX_DECOMPRESSION_BYTES: {
    about: "How much memory compressed requests may take while they are decompressed, in bytes; others wait",
    ...wholeNumber(16_777_216, 9_999_999_999),
    fallback: "67108864",
  },
  LOG_LEVEL: {
    about: "Least severity that is logged",
    ...oneOf("trace", "debug", "info", "warn", "error", "fatal", "silent"),
    fallback: "info",
  },
  LOG_FORMAT: {
    about: "Form of the logs; pretty if absent and stdout is a terminal, json otherwise",
    ...oneOf("json", "pretty"),
  },
  SHUTDOWN_DELAY: {
    about: "Time between NOT_SERVING and the end of listening, for load balancers to notice",
    ...duration(),
    fallback: "0s",
  },
  SHUTDOWN_TIMEOUT: {
    about: "Time that open calls have to finish after that",
    ...duration(),
    fallback: "10s",
  },
  NODE_ENV: {
    about: "With production, the service refuses to start without what keeps it safe",
    allowed: "any text",
    fallback: "development",
    schema: z.string(),
  },
} satisfies Record<string, Setting>;
