import {
  type DescField,
  type DescMethod,
  type DescService,
  getOption,
  hasOption,
  ScalarType,
} from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { Access, AccessSchema, type MethodPolicy, method_policy } from "../gen/policy/v1/policy_pb.ts";

/** Who may call a method, how long a call may take and how much may be asked; read from the contract. */
export interface CallPolicy {
  readonly access: Access;
  /** For ACCESS_SELF_OR_ADMIN: reads from a request the id of the user whom it acts on. */
  readonly subjectOf?: (request: unknown) => string;
  /** Deadline of a call whose client sets none, in milliseconds from its start; Infinity for none. */
  readonly defaultDeadlineMs: number;
  /** Longest time that a call may take, in milliseconds; Infinity for none. */
  readonly longestDeadlineMs: number;
  /** Size of the largest request message, in bytes. */
  readonly maxRequestBytes: number;
}

/** What max_request_bytes is where it is not stated. */
export const DEFAULT_MAX_REQUEST_BYTES = 65_536;

/**
 * Reads the policy that each method of the services states.
 *
 * @throws Error naming the method, if one states none or states nonsense.
 */
export function readPolicies(services: readonly DescService[]): ReadonlyMap<DescMethod, CallPolicy> {
  return new Map(services.flatMap(({ methods }) => methods.map((method) => [method, readPolicy(method)] as const)));
}

function readPolicy(method: DescMethod): CallPolicy {
  const fail = (what: string): never => {
    throw new Error(`${method.parent.typeName}.${method.name}: ${what}`);
  };
  if (!hasOption(method, method_policy)) fail("the method states no policy (option policy.v1.method_policy)");
  const stated: MethodPolicy = getOption(method, method_policy);
  if (stated.access === Access.UNSPECIFIED) fail("the policy states no access");
  if (AccessSchema.value[stated.access] === undefined) fail(`the policy states an unknown access (${stated.access})`);

  const defaultDeadlineMs = toMs(stated.defaultDeadline);
  const longestDeadlineMs = toMs(stated.longestDeadline);
  if (defaultDeadlineMs < 0 || longestDeadlineMs < 0) fail("a deadline is negative");
  if (defaultDeadlineMs > longestDeadlineMs) fail("the default deadline is later than the longest");
  if (method.methodKind === "unary" && longestDeadlineMs === Number.POSITIVE_INFINITY)
    fail("only streams may lack a deadline");

  if (stated.maxRequestBytes < 0) fail("max_request_bytes is negative");
  const maxRequestBytes = stated.maxRequestBytes || DEFAULT_MAX_REQUEST_BYTES;

  const policy = { access: stated.access, defaultDeadlineMs, longestDeadlineMs, maxRequestBytes };
  if (stated.access !== Access.SELF_OR_ADMIN) return policy;
  const path =
    fieldPath(method, stated.selfField) ??
    fail(`self_field "${stated.selfField}" names no string field of the request`);
  return { ...policy, subjectOf: (request) => readString(request, path) };
}

function toMs(duration: Duration | undefined): number {
  const ms = duration === undefined ? 0 : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
  return ms === 0 ? Number.POSITIVE_INFINITY : ms;
}

/** The fields that lead from a method's request to the string that `path` names, if there is one. */
function fieldPath(method: DescMethod, path: string): readonly DescField[] | undefined {
  const fields: DescField[] = [];
  let message = method.input as DescField["message"];
  for (const name of path.split(".")) {
    const field = message?.fields.find((candidate) => candidate.name === name);
    if (field === undefined || field.oneof !== undefined) return undefined;
    fields.push(field);
    message = field.fieldKind === "message" ? field.message : undefined;
  }
  const last = fields.at(-1);
  return last?.fieldKind === "scalar" && last.scalar === ScalarType.STRING ? fields : undefined;
}

function readString(request: unknown, path: readonly DescField[]): string {
  let value = request;
  for (const { localName } of path) value = (value as Record<string, unknown> | undefined)?.[localName];
  return typeof value === "string" ? value : "";
}
