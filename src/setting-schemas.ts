import { z } from "zod";
import { toAltName } from "./interceptors/certificate-identity.ts";

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

/** The bytes of a key. */
export const SECRET = {
  allowed: "at least 32 bytes",
  secret: true,
  schema: z
    .string()
    .transform((text): Uint8Array => Buffer.from(text))
    .refine((bytes) => bytes.length >= 32),
} as const;

/** Whether something is so. */
export const FLAG = {
  allowed: "true or false",
  schema: z.stringbool({ truthy: ["true"], falsy: ["false"], case: "sensitive" }),
};

/** Where a file or a directory is. */
export const PATH = { allowed: "a path", schema: z.string() };

/** Whether a text is a URL of HTTP that holds no password. */
export function isHttpUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && ["https:", "http:"].includes(url.protocol) && url.username === "" && url.password === "";
}

/** A name that a certificate may hold, and the name of a service; which has no character that would need quoting. */
const SERVICE = /^((?:URI|DNS):[^\s,'"\\=]+(?:=[^\s,'"\\=]+)*)=([\w.-]{1,128})$/;

/**
 * The names of services, by the names that their certificates hold. Reports an issue where an entry is none, or says
 * two things of one name.
 */
export function readServices(text: string, context: z.RefinementCtx): ReadonlyMap<string, string> {
  const services = new Map<string, string>();
  for (const entry of text.split(",")) {
    const [, name = "", service = ""] = SERVICE.exec(entry.trim()) ?? [];
    if (name === "" || services.has(toAltName(name))) context.addIssue("not a service, or one certificate for two");
    else services.set(toAltName(name), service);
  }
  return services;
}

/** Whether a text is an origin as browsers send it, or stands for all. */
export function isOrigin(text: string): boolean {
  return text === "*" || (URL.canParse(text) && new URL(text).origin === text);
}

/** A number from `min` to `max`, both included. */
export function wholeNumber(min: number, max: number): Pick<Setting<number>, "allowed" | "schema"> {
  const schema = z
    .string()
    .regex(/^\d{1,10}$/)
    .transform(Number)
    .refine((value) => value >= min && value <= max);
  return { allowed: `a whole number from ${min} to ${max}`, schema };
}

/** One of these texts. */
export function oneOf<const T extends string>(...values: readonly T[]): Pick<Setting<T>, "allowed" | "schema"> {
  // What zod infers is T, which TypeScript cannot tell while T is open.
  return { allowed: values.join(", "), schema: z.enum(values) as unknown as z.ZodType<T, string> };
}

const HOUR_MS = 3_600_000;
const UNIT_MS = new Map([
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", HOUR_MS],
]);

/** A time, read as milliseconds. */
export function duration(maxHours = 1): Pick<Setting<number>, "allowed" | "schema"> {
  const schema = z
    .string()
    .regex(/^\d{1,7}(ms|s|m|h)$/)
    .transform((text) => Number.parseInt(text, 10) * (UNIT_MS.get(text.replace(/^\d+/, "")) ?? Number.NaN))
    .refine((ms) => ms <= maxHours * HOUR_MS);
  return { allowed: `a whole number with the unit ms, s, m or h, up to ${maxHours}h`, schema };
}
