import type { Message } from "@bufbuild/protobuf";
import type { handleUnaryCall, sendUnaryData } from "@grpc/grpc-js";
import { CallContext } from "./call-context.ts";
import { toFailure } from "./failure.ts";
import type { MethodOf, Response, Serving } from "./serving.ts";

/** Serves an async function as a unary method. */
export function serveUnary({ method, impl }: MethodOf<"unary">, serving: Serving): handleUnaryCall<Message, Buffer> {
  return (call, callback) => {
    const context = new CallContext(method, call);
    void sendResponse(context, callback, serving, () => impl(call.request, context));
  };
}

/** Calls back with the response that `respond` makes, or with the status of its failure. Never rejects. */
export async function sendResponse(
  context: CallContext,
  callback: sendUnaryData<Buffer>,
  { encode }: Serving,
  respond: () => Promise<Response> | Response,
): Promise<void> {
  try {
    const bytes = encode(await respond());
    context.sendHeaders();
    callback(null, bytes, context.takeTrailers());
  } catch (error) {
    callback(toFailure(error, context));
  }
}
