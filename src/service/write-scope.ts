import type { HandlerContext } from "@connectrpc/connect";
import type { WriteScope } from "../repository/scope.ts";
import { callerOf } from "./permission.ts";

/** A call, as the repository needs to know it when it writes. */
export function writeScope(context: HandlerContext): WriteScope {
  return {
    author: callerOf(context),
    get signal() {
      return context.signal;
    },
    timeoutMs: () => context.timeoutMs(),
  };
}
