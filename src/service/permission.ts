import type { HandlerContext } from "@connectrpc/connect";
import { PermissionDeniedError } from "../domain/errors.ts";
import type { Principal } from "../domain/principal.ts";
import type { UserFields } from "../domain/user.ts";
import { principalKey } from "./call-values.ts";

/** Who makes a call, which is proven for every method that is not public. */
export function callerOf(context: HandlerContext): Principal {
  const principal = context.values.get(principalKey);
  if (principal === undefined) throw new Error("the caller is not known");
  return principal;
}

/**
 * Refuses a change of what only an admin sets.
 *
 * @throws PermissionDeniedError if role or status change, and the caller is no admin.
 */
export function permitChange(caller: Principal, before: UserFields, after: UserFields): void {
  if (caller.role === "admin" || (before.role === after.role && before.status === after.status)) return;
  throw new PermissionDeniedError("only an admin may set role or status");
}
