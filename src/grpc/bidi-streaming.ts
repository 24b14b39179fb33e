import type { Message } from "@bufbuild/protobuf";
import type { handleBidiStreamingCall } from "@grpc/grpc-js";
import { CallContext } from "./call-context.ts";
import { RequestMessages } from "./request-stream.ts";
import { sendResponses } from "./response-stream.ts";
import type { MethodOf, Serving } from "./serving.ts";

/** Serves an async generator over an async iterable of requests as a bidirectional method. */
export function serveBidiStreaming(
  { method, impl }: MethodOf<"bidi_streaming">,
  serving: Serving,
): handleBidiStreamingCall<Message, Buffer> {
  return (call) => {
    const context = new CallContext(method, call);
    const requests = new RequestMessages(call, context);
    void sendResponses(call, context, () => impl(requests, context), serving);
  };
}
