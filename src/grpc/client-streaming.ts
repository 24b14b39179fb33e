import type { Message } from "@bufbuild/protobuf";
import type { handleClientStreamingCall } from "@grpc/grpc-js";
import { CallContext } from "./call-context.ts";
import { RequestMessages } from "./request-stream.ts";
import type { MethodOf, Serving } from "./serving.ts";
import { sendResponse } from "./unary.ts";

/** Serves an async function over an async iterable of requests as a client-streaming method. */
export function serveClientStreaming(
  { method, impl }: MethodOf<"client_streaming">,
  serving: Serving,
): handleClientStreamingCall<Message, Buffer> {
  return (call, callback) => {
    const context = new CallContext(method, call);
    const requests = new RequestMessages(call, context);
    void sendResponse(context, callback, serving, () => impl(requests, context));
  };
}
