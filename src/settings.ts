import { z } from "zod";
import { isDatabaseUrl } from "./repository/postgres/connection.ts";

/** One environment variable that configures the service. */
export interface Setting<T = unknown> {
  /** What it decides, for the documentation. */
  readonly about: string;
  /** Which values it may have, for the documentation and for error messages. */
  readonly allowed: string;
  /** The text that stands for an absent value; without one, absence means something of its own. */
  readonly fallback?: string;
  /** Whether the value must never be shown. A secret can be given as a file, by the variable with the suffix _FILE. */
  readonly secret?: true;
  readonly schema: z.ZodType<T, string>;
}

const SECRET = {
  allowed: "at least 32 bytes",
  secret: true,
  schema: z
    .string()
    .transform((text): Uint8Array => Buffer.from(text))
    .refine((bytes) => bytes.length >= 32),
} as const;

const FLAG = {
  allowed: "true or false",
  schema: z.stringbool({ truthy: ["true"], falsy: ["false"], case: "sensitive" }),
};

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
    about: "How callers prove who they are; with none, everybody acts as an admin",
    ...oneOf("jwt", "none"),
    fallback: "jwt",
  },
  ALLOW_INSECURE: {
    about: "Whether AUTH=none is accepted in production",
    ...FLAG,
    fallback: "false",
  },
  JWT_SECRET: {
    about: "Key of the HMAC of tokens (HS256); made anew at each start if absent, but required in production",
    ...SECRET,
  },
  JWT_ISSUER: { about: "Issuer (iss) that tokens must have", allowed: "any text", schema: z.string() },
  JWT_AUDIENCE: { about: "Audience (aud) that tokens must have", allowed: "any text", schema: z.string() },
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
    allowed: "a path",
    schema: z.string(),
  },
  UPLOAD_MAX_BYTES: {
    about: "Size of the largest file that can be uploaded, in bytes",
    ...wholeNumber(1, 9_999_999_999),
    fallback: "268435456",
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

function isOrigin(text: string): boolean {
  return text === "*" || (URL.canParse(text) && new URL(text).origin === text);
}

function wholeNumber(min: number, max: number): Pick<Setting<number>, "allowed" | "schema"> {
  const schema = z
    .string()
    .regex(/^\d{1,10}$/)
    .transform(Number)
    .refine((value) => value >= min && value <= max);
  return { allowed: `a whole number from ${min} to ${max}`, schema };
}

function oneOf<const T extends string>(...values: readonly T[]): Pick<Setting<T>, "allowed" | "schema"> {
  return { allowed: values.join(", "), schema: z.enum(values) as unknown as z.ZodType<T, string> };
}

const HOUR_MS = 3_600_000;
const UNIT_MS = new Map([
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", HOUR_MS],
]);

/** A duration in milliseconds. */
function duration(maxHours = 1): Pick<Setting<number>, "allowed" | "schema"> {
  const schema = z
    .string()
    .regex(/^\d{1,7}(ms|s|m|h)$/)
    .transform((text) => Number.parseInt(text, 10) * (UNIT_MS.get(text.replace(/^\d+/, "")) ?? Number.NaN))
    .refine((ms) => ms <= maxHours * HOUR_MS);
  return { allowed: `a whole number with the unit ms, s, m or h, up to ${maxHours}h`, schema };
}
