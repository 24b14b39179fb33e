import { pathToString } from "@bufbuild/protobuf/reflect";
import type { Violation } from "@bufbuild/protovalidate";

/**
 * What is wrong with a message, in the terms of the contract: the path to the field, the broken rule, and what it
 * demands.
 */
export function describeViolation({ field, ruleId, message }: Violation): {
  readonly field: string;
  readonly reason: string;
  readonly description: string;
} {
  return { field: pathToString(field), reason: ruleId.toUpperCase().replaceAll(/\W/g, "_"), description: message };
}
