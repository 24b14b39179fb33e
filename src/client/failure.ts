import { durationMs } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { REQUEST_ID } from "../contract/headers.ts";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "../gen/google/rpc/error_details_pb.ts";
import { nameOf } from "./call-event.ts";

/** Why a call failed, read from the status and its details (google.rpc), so that nobody needs to know those. */
export interface Failure {
  /** The status code, as gRPC names it: `NOT_FOUND`, `UNAVAILABLE`, ... */
  readonly code: string;
  /** For people. May change. */
  readonly message: string;
  /**
   * What went wrong, for programs: stable, such as `EMAIL_TAKEN`. Undefined if it was not the service that failed the
   * call.
   */
  readonly reason: string | undefined;
  /** Whose reason it is: `user.v1` for those of the service. */
  readonly domain: string | undefined;
  /** More about the reason. */
  readonly facts: Readonly<Record<string, string>>;
  /** What is wrong with the request; empty if nothing is said to be. */
  readonly violations: readonly FieldViolation[];
  /** What the failure is about, such as a user who does not exist. */
  readonly resource: { readonly type: string; readonly name: string } | undefined;
  /** After how many milliseconds the call may be made again. Undefined if the service did not say that it may. */
  readonly retryDelayMs: number | undefined;
  /** How to find the call in the logs of the service. */
  readonly requestId: string | undefined;
}

/** One thing that is wrong with a request. */
export interface FieldViolation {
  /** The path to the field in the names of the contract; `messages[6].email` for the seventh message of a stream. */
  readonly field: string;
  /** Which rule it breaks, for programs: stable, such as `STRING_MIN_BYTES`. */
  readonly reason: string;
  /** What the rule demands, for people. */
  readonly description: string;
}

/** Reads why a call failed from what it threw. What no call has thrown becomes a failure with the code UNKNOWN. */
export function readFailure(error: unknown): Failure {
  const failed = ConnectError.from(error);
  const [info] = failed.findDetails(ErrorInfoSchema);
  const [badRequest] = failed.findDetails(BadRequestSchema);
  const [resource] = failed.findDetails(ResourceInfoSchema);
  const [retry] = failed.findDetails(RetryInfoSchema);
  return {
    code: nameOf(failed.code),
    message: failed.rawMessage,
    reason: info?.reason,
    domain: info?.domain,
    facts: info?.metadata ?? {},
    violations:
      badRequest?.fieldViolations.map(({ field, reason, description }) => ({ field, reason, description })) ?? [],
    resource: resource && { type: resource.resourceType, name: resource.resourceName },
    retryDelayMs: retry?.retryDelay && durationMs(retry.retryDelay),
    requestId: failed.metadata.get(REQUEST_ID) ?? undefined,
  };
}
