import { Code, ConnectError } from "@connectrpc/connect";
import { expect } from "vitest";
import { BadRequestSchema, ErrorInfoSchema, ResourceInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";

/** What a failed call tells its caller, in the form that tests compare. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly reason: string | undefined;
  readonly domain: string | undefined;
  /** Facts of the ErrorInfo. */
  readonly facts: Readonly<Record<string, string>>;
  /** Field violations of the BadRequest, as `field: REASON`. */
  readonly violations: readonly string[];
  /** The ResourceInfo, as `type/name`. */
  readonly resource: string | undefined;
}

/** The failure of a call that must fail. */
export async function failureOf(call: Promise<unknown>): Promise<Failure> {
  const error = await call.then(
    () => expect.fail("the call succeeded"),
    (reason: unknown) => ConnectError.from(reason),
  );
  return toFailure(error);
}

/** The failures of calls, each with what is wrong with the call. One that succeeds says so in place of a code. */
export function failuresOf(
  calls: readonly (readonly [what: string, call: Promise<unknown>])[],
): Promise<({ readonly what: string } & Partial<Failure>)[]> {
  const failures = calls.map(async ([what, call]) => {
    const failure = await failureOf(call).catch(({ message }: Error) => ({ code: message }));
    return { what, ...failure };
  });
  return Promise.all(failures);
}

export function toFailure(error: ConnectError): Failure {
  const [info] = error.findDetails(ErrorInfoSchema);
  const [badRequest] = error.findDetails(BadRequestSchema);
  const [resource] = error.findDetails(ResourceInfoSchema);
  return {
    code: Code[error.code] ?? String(error.code),
    message: error.rawMessage,
    reason: info?.reason,
    domain: info?.domain,
    facts: info?.metadata ?? {},
    violations: badRequest?.fieldViolations.map(({ field, reason }) => `${field}: ${reason}`) ?? [],
    resource: resource && `${resource.resourceType}/${resource.resourceName}`,
  };
}
