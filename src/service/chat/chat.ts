import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { ChatMessage, UserService } from "../../gen/user/v1/user_service_pb.ts";
import { callerOf } from "../permission.ts";
import { type AuthorOf, Conversation } from "./conversation.ts";
import { echoOf } from "./echo.ts";
import type { Rooms } from "./rooms.ts";

/** What talking takes. */
export interface ChatParts {
  readonly rooms: Rooms;
  /** Whether it is proven who calls. Otherwise everybody is who they say. */
  readonly authenticates: boolean;
}

/** Makes the RPC that talks: with the service itself by echoes, and from the first message with a room on in rooms too. */
export function createChat({ rooms, authenticates }: ChatParts): Pick<ServiceImpl<typeof UserService>, "chat"> {
  async function* chat(requests: AsyncIterable<ChatMessage>, context: HandlerContext): AsyncGenerator<ChatMessage> {
    const messages = requests[Symbol.asyncIterator]();
    let heard = 0;
    for (let next = await messages.next(); !next.done; next = await messages.next()) {
      if (next.value.room !== "") {
        yield* new Conversation(rooms, authorsOf(context), context, heard).hold(next.value, messages);
        return;
      }
      yield echoOf(next.value);
      heard++;
    }
  }

  function authorsOf(context: HandlerContext): AuthorOf {
    const { id } = callerOf(context);
    return authenticates ? () => id : ({ userId }, otherwise = id) => userId || otherwise;
  }

  return { chat };
}
