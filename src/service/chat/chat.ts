import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { ChatMessage, UserService } from "../../gen/user/v1/user_service_pb.ts";
import { Batches, batchesOf } from "../batches.ts";
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

/**
 * Makes the RPC that talks: with the service itself by echoes, and from the first message with a room on in rooms too.
 */
export function createChat({ rooms, authenticates }: ChatParts): Pick<ServiceImpl<typeof UserService>, "chat"> {
  function chat(requests: AsyncIterable<ChatMessage>, context: HandlerContext): AsyncIterable<ChatMessage> {
    return new Batches(answers(requests, context));
  }

  async function* answers(
    requests: AsyncIterable<ChatMessage>,
    context: HandlerContext,
  ): AsyncGenerator<readonly ChatMessage[]> {
    const batches = batchesOf(requests)[Symbol.asyncIterator]();
    let heard = 0;
    for (let next = await batches.next(); !next.done; next = await batches.next()) {
      const messages = next.value;
      const first = messages.findIndex(({ room }) => room !== "");
      const echoes = (first === -1 ? messages : messages.slice(0, first)).map(echoOf);
      if (echoes.length > 0) yield echoes;
      heard += echoes.length;
      if (first === -1) continue;
      yield* new Conversation(rooms, authorsOf(context), context, heard).run(messages.slice(first), batches);
      return;
    }
  }

  function authorsOf(context: HandlerContext): AuthorOf {
    const { id } = callerOf(context);
    return authenticates ? () => id : ({ userId }, otherwise = id) => userId || otherwise;
  }

  return { chat };
}
