import { create } from "@bufbuild/protobuf";
import { type ChatMessage, ChatMessageSchema } from "../../gen/user/v1/user_service_pb.ts";

/** What the service itself answers to a message. */
export function echoOf({ message, timestamp }: ChatMessage): ChatMessage {
  const answer = create(ChatMessageSchema);
  answer.userId = "server";
  answer.message = `Echo: ${message}`;
  if (timestamp !== undefined) answer.timestamp = timestamp;
  return answer;
}
