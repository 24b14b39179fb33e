import { type Any, durationFromMs } from "@bufbuild/protobuf/wkt";
import { type StatusObject, status } from "@grpc/grpc-js";
import {
  AlreadyInRoomError,
  CallerSuspendedError,
  ChangesExpiredError,
  EtagMismatchError,
  InvalidInputError,
  NotInRoomError,
  OperationsExpiredError,
  OutcomeUnknownError,
  PermissionDeniedError,
  RequestIdReusedError,
  ResponseTooLargeError,
  RevisionUnknownError,
  SpoolUnavailableError,
  StoreUnavailableError,
  TakenError,
  TooManyRoomsError,
  TooManyUsersError,
  UploadDamagedError,
  UploadIdReusedError,
  UploadTooLargeError,
  UserNotFoundError,
  UsersTooLargeError,
  type Violation,
} from "../domain/errors.ts";
import { BadRequestSchema, ResourceInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import {
  CallCancelledError,
  DeadlineExceededError,
  DecompressionBusyError,
  HeadersTooLargeError,
  IncompleteStreamError,
  MessageFlagError,
  OverloadedError,
  PiecemealMessageError,
  ProofExpiredError,
  RateLimitedError,
  RequestTooLargeError,
  ServerStoppingError,
  StreamAgedError,
  TlsRequiredError,
  TokenKeysUnavailableError,
  TooManyStreamsError,
  UnauthenticatedError,
  UnknownEncodingError,
} from "./errors.ts";
import { type Answer, detail, tellable, toStatusObject, toText } from "./status-object.ts";

const USER_TYPE = "user.v1.User";
/** After which a store that could not be reached, or a server with too much to do, is worth another try. */
const RETRY_MS = 1000;

/** The one place where errors become statuses. An error that no row knows is our fault, and says nothing. */
const ANSWERS: readonly ((error: unknown) => Answer | undefined)[] = [
  when(InvalidInputError, ({ violations }) => invalidRequest(violations)),
  when(RequestIdReusedError, ({ index, message: description }) =>
    invalidRequest([
      {
        field: fieldIn(index === undefined ? undefined : `messages[${index}]`, "request_id"),
        reason: "REQUEST_ID_REUSED",
        description,
      },
    ]),
  ),
  when(UserNotFoundError, ({ id, message }) => ({
    code: status.NOT_FOUND,
    reason: "USER_NOT_FOUND",
    message,
    details: [detail(ResourceInfoSchema, { resourceType: USER_TYPE, resourceName: toText(id), description: message })],
  })),
  when(TakenError, ({ field, part, message }) => ({
    code: status.ALREADY_EXISTS,
    reason: field === "email" ? "EMAIL_TAKEN" : "USERNAME_TAKEN",
    message: `${fieldIn(part, field)}: ${message}`,
    facts: { field: fieldIn(part, field) },
    details: [detail(ResourceInfoSchema, { resourceType: USER_TYPE, description: message })],
  })),
  when(EtagMismatchError, ({ id, message }) => ({
    code: status.ABORTED,
    reason: "ETAG_MISMATCH",
    message,
    details: [detail(ResourceInfoSchema, { resourceType: USER_TYPE, resourceName: toText(id), description: message })],
  })),
  when(TooManyUsersError, ({ limit, message }) => ({
    code: status.RESOURCE_EXHAUSTED,
    reason: "TOO_MANY_USERS",
    message: `${message}: at most ${limit} are allowed`,
    facts: { limit: String(limit) },
  })),
  when(ResponseTooLargeError, ({ message }) => ({
    code: status.RESOURCE_EXHAUSTED,
    reason: "RESPONSE_TOO_LARGE",
    message,
  })),
  when(UsersTooLargeError, ({ limitBytes, message }) => ({
    code: status.RESOURCE_EXHAUSTED,
    reason: "USERS_TOO_LARGE",
    message: `${message}: at most ${limitBytes} bytes are allowed`,
    facts: { limit_bytes: String(limitBytes) },
  })),
  when(UploadIdReusedError, ({ message: description }) =>
    invalidRequest([{ field: "messages[0].header.upload_id", reason: "UPLOAD_ID_REUSED", description }]),
  ),
  when(UploadTooLargeError, ({ limitBytes, message }) => ({
    code: status.RESOURCE_EXHAUSTED,
    reason: "UPLOAD_TOO_LARGE",
    message: `${message}: at most ${limitBytes} bytes are allowed`,
    facts: { limit_bytes: String(limitBytes) },
  })),
  when(UploadDamagedError, ({ message }) => ({ code: status.DATA_LOSS, reason: "UPLOAD_DAMAGED", message })),
  when(SpoolUnavailableError, ({ message, cause }) => ({
    code: status.UNAVAILABLE,
    reason: "SPOOL_UNAVAILABLE",
    message,
    cause,
    details: [retryAfter(RETRY_MS)],
  })),
  when(IncompleteStreamError, ({ message }) => ({ code: status.DATA_LOSS, reason: "STREAM_INCOMPLETE", message })),
  when(RequestTooLargeError, ({ limitBytes, message }) => ({
    code: status.RESOURCE_EXHAUSTED,
    reason: "REQUEST_TOO_LARGE",
    message: `${message}: at most ${limitBytes} bytes are allowed`,
    facts: { limit_bytes: String(limitBytes) },
  })),
  when(HeadersTooLargeError, ({ message }) => ({
    code: status.RESOURCE_EXHAUSTED,
    reason: "HEADERS_TOO_LARGE",
    message,
  })),
  when(UnknownEncodingError, ({ message }) => ({
    code: status.UNIMPLEMENTED,
    reason: "ENCODING_UNKNOWN",
    message,
    trailers: { "grpc-accept-encoding": "identity,deflate,gzip" },
  })),
  when(DecompressionBusyError, ({ message }) => ({
    code: status.RESOURCE_EXHAUSTED,
    reason: "DECOMPRESSION_BUSY",
    message,
    details: [retryAfter(RETRY_MS)],
  })),
  when(MessageFlagError, ({ message }) => ({ code: status.INTERNAL, reason: "MESSAGE_FLAG_INVALID", message })),
  when(PiecemealMessageError, ({ message }) => ({
    code: status.RESOURCE_EXHAUSTED,
    reason: "MESSAGE_PIECEMEAL",
    message,
  })),
  when(UnauthenticatedError, ({ message }) => ({ code: status.UNAUTHENTICATED, reason: "TOKEN_INVALID", message })),
  when(ProofExpiredError, ({ message }) => ({ code: status.UNAUTHENTICATED, reason: "TOKEN_EXPIRED", message })),
  when(TokenKeysUnavailableError, ({ retryAfterMs, message }) => ({
    code: status.UNAVAILABLE,
    reason: "TOKEN_KEYS_UNAVAILABLE",
    message,
    details: [retryAfter(retryAfterMs)],
  })),
  when(PermissionDeniedError, ({ message }) => ({
    code: status.PERMISSION_DENIED,
    reason: "CALLER_NOT_ALLOWED",
    message,
  })),
  when(CallerSuspendedError, ({ message }) => ({
    code: status.PERMISSION_DENIED,
    reason: "CALLER_SUSPENDED",
    message,
  })),
  // The code that gRPC over HTTP2 gives to INADEQUATE_SECURITY.
  when(TlsRequiredError, ({ message }) => ({ code: status.PERMISSION_DENIED, reason: "TLS_REQUIRED", message })),
  when(DeadlineExceededError, ({ message }) => ({
    code: status.DEADLINE_EXCEEDED,
    reason: "DEADLINE_EXCEEDED",
    message,
  })),
  when(RateLimitedError, ({ limited, waitMs, message }) => ({
    code: status.RESOURCE_EXHAUSTED,
    reason: "RATE_LIMITED",
    message,
    facts: { limited },
    details: [retryAfter(Math.ceil(waitMs))],
  })),
  when(OverloadedError, ({ message }) => ({
    code: status.RESOURCE_EXHAUSTED,
    reason: "OVERLOADED",
    message,
    details: [retryAfter(RETRY_MS)],
  })),
  when(TooManyStreamsError, ({ message }) => ({
    code: status.RESOURCE_EXHAUSTED,
    reason: "TOO_MANY_STREAMS",
    message,
    details: [retryAfter(RETRY_MS)],
  })),
  when(StoreUnavailableError, ({ message, cause }) => ({
    code: status.UNAVAILABLE,
    reason: "STORE_UNAVAILABLE",
    message,
    cause,
    details: [retryAfter(RETRY_MS)],
  })),
  // Without a RetryInfo: who asks again may do it twice, unless a request_id keeps them from it.
  when(OutcomeUnknownError, ({ message, cause }) => ({
    code: status.UNKNOWN,
    reason: "OUTCOME_UNKNOWN",
    message,
    cause,
  })),
  when(NotInRoomError, ({ room, message }) => ({
    code: status.FAILED_PRECONDITION,
    reason: "NOT_IN_ROOM",
    message,
    facts: { room },
  })),
  when(AlreadyInRoomError, ({ room, message }) => ({
    code: status.FAILED_PRECONDITION,
    reason: "ALREADY_IN_ROOM",
    message,
    facts: { room },
  })),
  when(TooManyRoomsError, ({ limit, message }) => ({
    code: status.FAILED_PRECONDITION,
    reason: "TOO_MANY_ROOMS",
    message,
    facts: { limit: String(limit) },
  })),
  when(ChangesExpiredError, ({ message }) => ({ code: status.OUT_OF_RANGE, reason: "CHANGES_EXPIRED", message })),
  when(RevisionUnknownError, ({ message }) => ({ code: status.OUT_OF_RANGE, reason: "REVISION_UNKNOWN", message })),
  when(OperationsExpiredError, ({ message }) => ({
    code: status.OUT_OF_RANGE,
    reason: "OPERATIONS_EXPIRED",
    message,
  })),
  when(CallCancelledError, ({ message }) => ({ code: status.CANCELLED, reason: "CANCELLED", message })),
  when(ServerStoppingError, ({ message }) => ({ code: status.UNAVAILABLE, reason: "SERVER_STOPPING", message })),
  when(StreamAgedError, ({ message }) => ({ code: status.UNAVAILABLE, reason: "STREAM_AGED", message })),
];

/** The detail that says after how many milliseconds the call is worth another try. */
function retryAfter(ms: number): Any {
  return detail(RetryInfoSchema, { retryDelay: durationFromMs(ms) });
}

function invalidRequest(violations: readonly Violation[]): Answer {
  const told = tellable(violations);
  const more = violations.length > told.length ? `; and ${violations.length - told.length} more` : "";
  const text = told.map(({ field, description }) => `${field} ${description}`).join("; ");
  return {
    code: status.INVALID_ARGUMENT,
    reason: "INVALID_REQUEST",
    message: `invalid request: ${text}${more}`,
    details: [detail(BadRequestSchema, { fieldViolations: told })],
  };
}

/** The path to a field of a part of the input, or of the input itself. */
function fieldIn(part: string | undefined, field: string): string {
  return part === undefined ? field : `${part}.${field}`;
}

const INTERNAL: Answer = { code: status.INTERNAL, reason: "INTERNAL", message: "internal error" };

/** The status that tells the caller of an error. An error not meant for callers becomes INTERNAL, and its cause. */
export function toStatus(error: unknown): StatusObject {
  for (const answerTo of ANSWERS) {
    const answer = answerTo(error);
    if (answer !== undefined) return toStatusObject(answer);
  }
  return toStatusObject({ ...INTERNAL, cause: error ?? new Error("the handler threw nothing") });
}

function when<E extends Error>(
  type: new (...args: never[]) => E,
  answer: (error: E) => Answer,
): (error: unknown) => Answer | undefined {
  return (error) => (error instanceof type ? answer(error) : undefined);
}
