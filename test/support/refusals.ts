import { durationMs } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { expect } from "vitest";
import { RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { type Failure, toFailure } from "./errors.ts";

/** A failure that says when to try again. */
export interface Refusal extends Failure {
  /** The RetryInfo, in milliseconds. */
  readonly retryMs: number | undefined;
}

/** The failure of a call that must be refused. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  const error = await call.then(
    () => expect.fail("the call succeeded"),
    (reason: unknown) => ConnectError.from(reason),
  );
  const [retry] = error.findDetails(RetryInfoSchema);
  return { ...toFailure(error), retryMs: retry?.retryDelay && durationMs(retry.retryDelay) };
}
