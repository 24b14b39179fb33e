import type { Message } from "@bufbuild/protobuf";
import type { handleBidiStreamingCall } from "@grpc/grpc-js";
import { CallContext } from "./call-context.ts";
import { RequestMessages } from "./request-stream.ts";
import { sendResponses } from "./response-stream.ts";
import type { MethodOf, Serving } from "./serving.ts";

/** Serves an async generator over an async iterable of requests as a bidirectional method. */
export function serveBidiStreaming(
  { method, impl }: MethodOf<"bidi_streaming">,
  { encode, live }: Serving,
): handleBidiStreamingCall<Message, Buffer> {
  return (call) => {
    const context = new CallContext(method, call);
    void sendResponses(call, context, impl(new RequestMessages(call, context), context), encode, live);
  };
}
