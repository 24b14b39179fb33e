import { create } from "@bufbuild/protobuf";
import { type ChatMessage, ChatMessageSchema } from "../gen/user/v1/user_service_pb.ts";

/** Answers every message by its echo, in order. */
export async function* chat(requests: AsyncIterable<ChatMessage>): AsyncGenerator<ChatMessage> {
  for await (const { message, timestamp } of requests) {
    const answer = create(ChatMessageSchema, { userId: "server", message: `Echo: ${message}` });
    if (timestamp !== undefined) answer.timestamp = timestamp;
    yield answer;
  }
}
