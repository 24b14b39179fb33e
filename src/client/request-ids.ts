import { randomUUID } from "node:crypto";
import { clone, type DescMethod, type Message } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { requestIdField } from "../contract/request-id.ts";
import { mapAsync } from "./map-async.ts";

/**
 * Gives each request that has none the `request_id` which makes it safe to send again. All attempts of a call carry the
 * same one; another call gets another one. The caller's message stays as it is.
 */
export const setRequestIds: Interceptor = (next) => async (request) => {
  const set = setterOf(request.method);
  if (set === undefined) return next(request);
  if (request.stream) return next({ ...request, message: mapAsync(request.message, set) });
  return next({ ...request, message: set(request.message) });
};

function setterOf(method: DescMethod): ((message: Message) => Message) | undefined {
  const field = requestIdField(method);
  if (field === undefined) return undefined;
  const name = field.localName;
  return (message) => {
    if ((message as Message & Record<string, unknown>)[name] !== "") return message;
    return Object.assign(clone(method.input, message), { [name]: randomUUID() });
  };
}
