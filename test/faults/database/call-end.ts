import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.ts";

/** How a call ended: its status, and what its details say. */
export interface CallEnd {
  readonly code: string;
  readonly reason: string | undefined;
  /** Whether the caller is told to try again (RetryInfo). */
  readonly retry: boolean;
}

export const OK: CallEnd = { code: "OK", reason: undefined, retry: false };
/** The database cannot be used, and nothing has happened. */
export const UNAVAILABLE: CallEnd = { code: "Unavailable", reason: "STORE_UNAVAILABLE", retry: true };
/** Too many calls wait for the database, and nothing has happened. */
export const OVERLOADED: CallEnd = { code: "ResourceExhausted", reason: "OVERLOADED", retry: true };
/** The connection was lost during COMMIT. */
export const UNKNOWN: CallEnd = { code: "Unknown", reason: "OUTCOME_UNKNOWN", retry: false };
/** The client has called the call off, or its time ran out, whoever noticed first. */
export const CANCELLED: CallEnd = { code: "Canceled", reason: undefined, retry: false };
export const EXPIRED: CallEnd = { code: "DeadlineExceeded", reason: undefined, retry: false };

/** Waits for the end of a call. */
export function endOf(call: Promise<unknown>): Promise<CallEnd> {
  return call.then(
    () => OK,
    (error: unknown) => toCallEnd(ConnectError.from(error)),
  );
}

function toCallEnd(error: ConnectError): CallEnd {
  const [info] = error.findDetails(ErrorInfoSchema);
  const expired = error.code === Code.DeadlineExceeded;
  return {
    code: Code[error.code] ?? String(error.code),
    reason: expired ? undefined : info?.reason,
    retry: error.findDetails(RetryInfoSchema).length > 0,
  };
}
