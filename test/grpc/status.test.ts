import { create, createRegistry, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { anyPack, anyUnpack, durationFromMs } from "@bufbuild/protobuf/wkt";
import { Metadata, status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import {
  CallerSuspendedError,
  EtagMismatchError,
  InvalidInputError,
  PermissionDeniedError,
  RequestIdReusedError,
  TakenError,
  TooManyUsersError,
  UploadDamagedError,
  UploadIdReusedError,
  UploadTooLargeError,
  UserNotFoundError,
} from "../../src/domain/errors.ts";
import {
  BadRequestSchema,
  type ErrorInfo,
  ErrorInfoSchema,
  ResourceInfoSchema,
  type RetryInfo,
  RetryInfoSchema,
} from "../../src/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts";
import {
  CallCancelledError,
  DeadlineExceededError,
  IncompleteStreamError,
  OverloadedError,
  RateLimitedError,
  ServerStoppingError,
  TooManyStreamsError,
  UnauthenticatedError,
} from "../../src/grpc/errors.ts";
import { toStatus } from "../../src/grpc/status.ts";
import { type CallStatus, causeOf, withErrorInfo } from "../../src/grpc/status-object.ts";

const DETAILS_KEY = "grpc-status-details-bin";
const DETAIL_TYPES = createRegistry(ErrorInfoSchema, BadRequestSchema, ResourceInfoSchema, RetryInfoSchema);

interface Decoded {
  readonly code: number;
  readonly message: string;
  readonly details: readonly Message[];
}

/** The google.rpc.Status that a status carries. */
function decode({ metadata }: CallStatus): Decoded {
  const [bytes, ...others] = metadata?.get(DETAILS_KEY) ?? [];
  expect(others).toEqual([]);
  if (!Buffer.isBuffer(bytes)) return expect.fail("the status carries no details");
  const { code, message, details } = fromBinary(StatusSchema, bytes);
  return { code, message, details: details.map((any) => anyUnpack(any, DETAIL_TYPES) ?? expect.fail(any.typeUrl)) };
}

function info(reason: string, metadata: Record<string, string> = {}): ErrorInfo {
  return create(ErrorInfoSchema, { reason, domain: "user.v1", metadata });
}

function retryAfter(ms: number): RetryInfo {
  return create(RetryInfoSchema, { retryDelay: durationFromMs(ms) });
}

const VIOLATIONS = [
  { field: "email", reason: "EMAIL_INVALID", description: "must be an e-mail address" },
  { field: "messages[6].name", reason: "NAME_BLANK", description: "must not be blank" },
];

/** Everything that an error tells the caller: its code, its message, and the details. */
const ANSWERS: readonly [Error, status, string, readonly Message[]][] = [
  [
    new InvalidInputError(VIOLATIONS),
    status.INVALID_ARGUMENT,
    "invalid request: email must be an e-mail address; messages[6].name must not be blank",
    [info("INVALID_REQUEST"), create(BadRequestSchema, { fieldViolations: VIOLATIONS })],
  ],
  [
    new RateLimitedError("caller", 1499.2),
    status.RESOURCE_EXHAUSTED,
    "too many calls from this caller",
    [info("RATE_LIMITED", { limited: "caller" }), retryAfter(1500)],
  ],
  [
    new OverloadedError(),
    status.RESOURCE_EXHAUSTED,
    "the server has too much to do",
    [info("OVERLOADED"), retryAfter(1000)],
  ],
  [
    new TooManyStreamsError(),
    status.RESOURCE_EXHAUSTED,
    "the server has too many open streams",
    [info("TOO_MANY_STREAMS"), retryAfter(1000)],
  ],
  [
    new UserNotFoundError("the id"),
    status.NOT_FOUND,
    "no such user",
    [
      info("USER_NOT_FOUND"),
      create(ResourceInfoSchema, {
        resourceType: "user.v1.User",
        resourceName: "the id",
        description: "no such user",
      }),
    ],
  ],
  [
    new TakenError("email", 6),
    status.ALREADY_EXISTS,
    "messages[6].email: the e-mail address is taken",
    [
      info("EMAIL_TAKEN", { field: "messages[6].email" }),
      create(ResourceInfoSchema, { resourceType: "user.v1.User", description: "the e-mail address is taken" }),
    ],
  ],
  [
    new TakenError("username"),
    status.ALREADY_EXISTS,
    "username: the username is taken",
    [
      info("USERNAME_TAKEN", { field: "username" }),
      create(ResourceInfoSchema, { resourceType: "user.v1.User", description: "the username is taken" }),
    ],
  ],
  ...[undefined, 6].map((index): (typeof ANSWERS)[number] => {
    const error = new RequestIdReusedError(index);
    const field = index === undefined ? "request_id" : "messages[6].request_id";
    const violation = { field, reason: "REQUEST_ID_REUSED", description: error.message };
    return [
      error,
      status.INVALID_ARGUMENT,
      `invalid request: ${field} ${error.message}`,
      [info("INVALID_REQUEST"), create(BadRequestSchema, { fieldViolations: [violation] })],
    ];
  }),
  [
    new EtagMismatchError("the id"),
    status.ABORTED,
    "the user has changed meanwhile",
    [
      info("ETAG_MISMATCH"),
      create(ResourceInfoSchema, {
        resourceType: "user.v1.User",
        resourceName: "the id",
        description: "the user has changed meanwhile",
      }),
    ],
  ],
  [
    new TooManyUsersError(10_000),
    status.RESOURCE_EXHAUSTED,
    "too many users in one call: at most 10000 are allowed",
    [info("TOO_MANY_USERS", { limit: "10000" })],
  ],
  [
    new UploadIdReusedError(),
    status.INVALID_ARGUMENT,
    "invalid request: messages[0].header.upload_id must not be the id of an earlier upload of another file",
    [
      info("INVALID_REQUEST"),
      create(BadRequestSchema, {
        fieldViolations: [
          {
            field: "messages[0].header.upload_id",
            reason: "UPLOAD_ID_REUSED",
            description: "must not be the id of an earlier upload of another file",
          },
        ],
      }),
    ],
  ],
  [
    new UploadTooLargeError(100),
    status.RESOURCE_EXHAUSTED,
    "the file is too large: at most 100 bytes are allowed",
    [info("UPLOAD_TOO_LARGE", { limit_bytes: "100" })],
  ],
  [new UploadDamagedError("3 bytes arrived"), status.DATA_LOSS, "3 bytes arrived", [info("UPLOAD_DAMAGED")]],
  [
    new IncompleteStreamError("3 messages arrived"),
    status.DATA_LOSS,
    "3 messages arrived",
    [info("STREAM_INCOMPLETE")],
  ],
  [new UnauthenticatedError(), status.UNAUTHENTICATED, "a valid bearer token is required", [info("TOKEN_INVALID")]],
  [
    new PermissionDeniedError("only an admin may do this"),
    status.PERMISSION_DENIED,
    "only an admin may do this",
    [info("CALLER_NOT_ALLOWED")],
  ],
  [new CallerSuspendedError(), status.PERMISSION_DENIED, "the caller is suspended", [info("CALLER_SUSPENDED")]],
  [new DeadlineExceededError(), status.DEADLINE_EXCEEDED, "deadline exceeded", [info("DEADLINE_EXCEEDED")]],
  [new CallCancelledError(), status.CANCELLED, "the call was cancelled", [info("CANCELLED")]],
  [new ServerStoppingError(), status.UNAVAILABLE, "the server is stopping", [info("SERVER_STOPPING")]],
];

describe("toStatus", () => {
  it.each(ANSWERS)("tells the caller of %s", (error, code, message, details) => {
    const result = toStatus(error);
    expect(result).toMatchObject({ code, details: message });
    expect(decode(result)).toEqual({ code, message, details });
    expect(causeOf(result)).toBeUndefined();
  });

  it.each([
    new Error("password=hunter2"),
    Object.assign(new Error("duplicate key"), { code: "23505", details: "select *" }),
    Object.assign(new Error("looks like a status"), { code: status.NOT_FOUND, details: "told" }),
    new TypeError("x is not a function"),
    "a string",
    { name: "UserNotFoundError", id: "1" },
  ])("tells the caller nothing of %s, and keeps it for the log", (error) => {
    const result = toStatus(error);
    expect(result).toMatchObject({ code: status.INTERNAL, details: "internal error" });
    expect(decode(result)).toEqual({ code: status.INTERNAL, message: "internal error", details: [info("INTERNAL")] });
    expect(Object.keys(result.metadata.getMap())).toEqual([DETAILS_KEY]);
    expect(causeOf(result)).toBe(error);
  });

  it("has a cause to log even if nothing was thrown", () => {
    for (const nothing of [undefined, null]) expect(causeOf(toStatus(nothing))).toBeInstanceOf(Error);
  });

  it("keeps the cause of each status apart", () => {
    const errors = [new Error("one"), new Error("other")];
    expect(errors.map(toStatus).map(causeOf)).toEqual(errors);
  });

  it.each([
    ["a description", new InvalidInputError([{ field: "name", reason: "X", description: "a\ud800b" }])],
    ["a field", new InvalidInputError([{ field: 'map["\udc00"]', reason: "X", description: "d" }])],
    ["a reason", new InvalidInputError([{ field: "f", reason: "\ud800", description: "d" }])],
    ["an id", new UserNotFoundError("\ud800")],
    ["a fact", new IncompleteStreamError("\udc00\ud800")],
    ["a requirement", new PermissionDeniedError("only \ud800")],
    ["an unknown error", new Error("\ud800")],
  ])("makes a well-formed status of a lone surrogate in %s", (_, error) => {
    const result = toStatus(error);
    expect(result.details.isWellFormed()).toBe(true);
    const decoded = decode(result);
    expect(decoded.message).toBe(result.details);
    expect(decoded.details.length).toBeGreaterThan(0);
  });
});

describe("withErrorInfo", () => {
  it("adds an ErrorInfo to an error that has no details", () => {
    const given = { code: status.UNIMPLEMENTED, details: "no such method" };
    const result = withErrorInfo(given);
    expect(result).toMatchObject(given);
    expect(decode(result)).toEqual({
      code: status.UNIMPLEMENTED,
      message: "no such method",
      details: [info("UNIMPLEMENTED")],
    });
  });

  it.each([undefined, null, new Metadata()])("takes metadata of %s for none", (metadata) => {
    const given = { code: status.NOT_FOUND, details: "gone", ...(metadata !== undefined && { metadata }) };
    expect(decode(withErrorInfo(given)).details).toEqual([info("NOT_FOUND")]);
  });

  it("keeps the metadata", () => {
    const metadata = new Metadata();
    metadata.add("x-text", "one");
    metadata.add("x-text", "two");
    metadata.set("x-bytes-bin", Buffer.from([0, 255]));
    const result = withErrorInfo({ code: status.NOT_FOUND, details: "gone", metadata });
    expect(result.metadata?.get("x-text")).toEqual(["one", "two"]);
    expect(result.metadata?.get("x-bytes-bin")).toEqual([Buffer.from([0, 255])]);
    expect(decode(result).details).toEqual([info("NOT_FOUND")]);
  });

  it("leaves a success as it is", () => {
    const given = { code: status.OK, details: "OK", metadata: new Metadata() };
    expect(withErrorInfo(given)).toBe(given);
    expect(given.metadata.getMap()).toEqual({});
  });

  it("leaves an error that has details as it is", () => {
    for (const given of [toStatus(new UserNotFoundError("1")), toStatus(new Error("secret"))])
      expect(withErrorInfo(given)).toBe(given);

    const details = [anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason: "THEIRS", domain: "elsewhere" }))];
    const metadata = new Metadata();
    metadata.set(DETAILS_KEY, Buffer.from(toBinary(StatusSchema, create(StatusSchema, { code: 5, details }))));
    const given = { code: status.NOT_FOUND, details: "gone", metadata };
    expect(withErrorInfo(given)).toBe(given);
  });

  it("names an error of an unknown code", () => {
    const given = { code: 99 as status, details: "odd" };
    expect(decode(withErrorInfo(given))).toMatchObject({ code: 99, details: [info("UNKNOWN")] });
  });

  it("makes a well-formed status of a lone surrogate", () => {
    const result = withErrorInfo({ code: status.UNKNOWN, details: "a\ud800b" });
    expect(result.details).toBe("a\ufffdb");
    expect(decode(result).message).toBe("a\ufffdb");
  });
});

describe("causeOf", () => {
  it("knows no cause of a status that hides none", () => {
    expect(causeOf({ code: status.INTERNAL, details: "internal error" })).toBeUndefined();
    expect(causeOf({ code: status.INTERNAL, details: "internal error", metadata: new Metadata() })).toBeUndefined();
    expect(causeOf({ code: status.INTERNAL, details: "internal error", metadata: null })).toBeUndefined();
  });

  it("knows the cause when trailers have joined the metadata", () => {
    const cause = new Error("secret");
    const result = toStatus(cause);
    result.metadata.set("x-trailer", "1");
    expect(causeOf({ ...result })).toBe(cause);
  });
});

describe("toStatus of very many violations", () => {
  it("tells the first of them, and how many more there are", () => {
    const violations = Array.from({ length: 1000 }, (_, index) => ({
      field: `ids[${index}]`,
      reason: "R",
      description: "must be",
    }));
    const { metadata, details } = toStatus(new InvalidInputError(violations));
    expect(details).toMatch(/^invalid request: ids\[0\] must be; .*; ids\[15\] must be; and 984 more$/);
    expect(Buffer.concat(metadata.get("grpc-status-details-bin") as Buffer[]).length).toBeLessThan(4096);
  });
});
