import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import { Metadata, type ServerInterceptingCallInterface, type StatusObject, status } from "@grpc/grpc-js";
import { STATUS_DETAILS } from "../contract/headers.ts";
import type { Violation } from "../domain/errors.ts";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../gen/google/rpc/status_pb.ts";

/** How a call ends, as grpc-js takes it from interceptors. */
export type CallStatus = Parameters<ServerInterceptingCallInterface["sendStatus"]>[0];

/** What an error says to the caller. */
export interface Answer {
  readonly code: status;
  /** Stable identifier of the kind of error (ErrorInfo.reason), in UPPER_SNAKE_CASE. */
  readonly reason: string;
  readonly message: string;
  /** Facts for programs (ErrorInfo.metadata). */
  readonly facts?: Record<string, string>;
  readonly details?: readonly Any[];
  /** Trailing metadata beside the details. */
  readonly trailers?: Readonly<Record<string, string>>;
  /** What lies behind it: for the log, and for nobody else. */
  readonly cause?: unknown;
}

const ERROR_DOMAIN = "user.v1";
/**
 * Trailing metadata has to fit into the 8 KiB of headers that many clients receive, and is longer there than here: the
 * message by its percent-encoding, the details, which hold the message again, by base64.
 */
const MAX_MESSAGE_LENGTH = 1536;
const MAX_DETAILS_BYTES = 4096;
const MAX_VIOLATIONS = 16;
const MAX_VIOLATIONS_BYTES = 2048;
/** Of a text in the details, in units of UTF-16. */
const MAX_TEXT_LENGTH = 256;
/** What lies behind a status, by the status's metadata, which grpc-js hands on as it is. */
const causes = new WeakMap<Metadata, unknown>();

/** The error that a status hides from the caller, for the log; undefined if it hides none. */
export function causeOf({ metadata }: CallStatus): unknown {
  return metadata ? causes.get(metadata) : undefined;
}

/**
 * The status itself, or for an error that someone else made without details one with an ErrorInfo named by its code.
 */
export function withErrorInfo(given: CallStatus): CallStatus {
  if (given.code === status.OK || (given.metadata?.get(STATUS_DETAILS).length ?? 0) > 0) return given;
  const named = toStatusObject({ code: given.code, reason: status[given.code] ?? "UNKNOWN", message: given.details });
  if (given.metadata) named.metadata.merge(given.metadata);
  return named;
}

/** The status that gives an answer, as far as trailing metadata has room for it. */
export function toStatusObject({
  code,
  reason,
  message,
  facts = {},
  details = [],
  trailers = {},
  cause,
}: Answer): StatusObject {
  const text = toMessage(message);
  const info = detail(ErrorInfoSchema, { reason, domain: ERROR_DOMAIN, metadata: mapTexts(facts) });
  const metadata = new Metadata();
  metadata.set(STATUS_DETAILS, encodeDetails(code, text, [info, ...details]));
  for (const [name, value] of Object.entries(trailers)) metadata.set(name, value);
  if (cause !== undefined) causes.set(metadata, cause);
  return { code, details: text, metadata };
}

/** The details as they travel; without all but the first where they are too many. */
function encodeDetails(code: status, message: string, details: Any[]): Buffer {
  const bytes = toBinary(StatusSchema, create(StatusSchema, { code, message, details }));
  if (bytes.length <= MAX_DETAILS_BYTES || details.length === 1) return Buffer.from(bytes);
  return encodeDetails(code, message, details.slice(0, -1));
}

/** The text as a message of a status, which travels percent-encoded (gRPC over HTTP2, Status-Message). */
function toMessage(text: string): string {
  let told = toText(text, MAX_MESSAGE_LENGTH);
  while (encodeURI(told).length > MAX_MESSAGE_LENGTH) told = toText(told, Math.floor(told.length * 0.75));
  return told;
}

/**
 * The text as a detail can hold it: well-formed, without what would end it in some languages, and cut where it is too
 * long.
 */
export function toText(text: string, maxLength = MAX_TEXT_LENGTH): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength - 1)}…` : text;
  return cut.toWellFormed().replaceAll("\0", "\ufffd");
}

function mapTexts<T extends object>(texts: T): T {
  const told = Object.entries(texts).map(([name, text]) => [name, typeof text === "string" ? toText(text) : text]);
  return Object.fromEntries(told) as T;
}

/** A detail of a status. */
export function detail<S extends DescMessage>(schema: S, value: MessageInitShape<S>): Any {
  return anyPack(schema, create(schema, value));
}

/** The first violations, as many as there is room for: at least one. */
export function tellable(violations: readonly Violation[]): Violation[] {
  const told: Violation[] = [];
  let bytes = 0;
  for (const violation of violations.slice(0, MAX_VIOLATIONS)) {
    const texts = mapTexts(violation);
    bytes += Buffer.byteLength(Object.values(texts).join());
    if (told.length > 0 && bytes > MAX_VIOLATIONS_BYTES) break;
    told.push(texts);
  }
  return told;
}
