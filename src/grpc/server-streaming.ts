import type { Message } from "@bufbuild/protobuf";
import type { handleServerStreamingCall } from "@grpc/grpc-js";
import { CallContext } from "./call-context.ts";
import { sendResponses } from "./response-stream.ts";
import type { MethodOf, Serving } from "./serving.ts";

/** Serves an async generator as a server-streaming method. */
export function serveServerStreaming(
  { method, impl }: MethodOf<"server_streaming">,
  serving: Serving,
): handleServerStreamingCall<Message, Buffer> {
  return (call) => {
    const context = new CallContext(method, call);
    void sendResponses(call, context, () => impl(call.request, context), serving);
  };
}
