import { createContextKey } from "@connectrpc/connect";
import type { Principal } from "../domain/principal.ts";

/** Who is calling. Undefined for a call of a public method. */
export const principalKey = createContextKey<Principal | undefined>(undefined, { description: "principal" });

/** The id under which the logs know the call; send it on to services called on its behalf. */
export const requestIdKey = createContextKey<string>("", { description: "request id" });
