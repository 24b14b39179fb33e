import type { StatusObject } from "@grpc/grpc-js";
import type { CallContext } from "./call-context.ts";
import { toStatus } from "./status.ts";
import { causeOf } from "./status-object.ts";

/**
 * The status for what a handler threw, with the handler's trailers. What it throws after its call has ended (a closed
 * stream, an aborted read) only follows from that, and is not logged.
 */
export function toFailure(error: unknown, context: CallContext): StatusObject {
  let status = toStatus(error);
  if (causeOf(status) !== undefined && context.endReason !== undefined) status = toStatus(context.endReason);
  const trailers = context.takeTrailers();
  if (trailers !== undefined) status.metadata.merge(trailers);
  return status;
}
