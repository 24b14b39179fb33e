import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Bus } from "../../bus/bus.ts";
import { OutcomeUnknownError, StoreUnavailableError } from "../../domain/errors.ts";
import { type ChatMessage, ChatMessageSchema, ChatMessageType } from "../../gen/user/v1/user_service_pb.ts";
import type { ChatRooms, NewText, RoomText } from "../../repository/chat-rooms.ts";
import type { Cancellable } from "../../repository/scope.ts";
import type { Bell } from "../bell.ts";
import { JointWrites } from "../joint-writes.ts";
import type { PresenceKeeper, Stay } from "../presence-keeper.ts";
import type { PresenceView } from "../presence-view.ts";
import { type Cursor, type Log, Tails } from "../tail.ts";

/** A text goes with those of others, so that no call calls it off. */
const POSTING_SCOPE: Cancellable = { signal: new AbortController().signal, timeoutMs: () => 5000 };

/**
 * The rooms as the calls of this process share them: what is posted goes out together, and is read once for all
 * members.
 */
export class Rooms {
  readonly #rooms: ChatRooms;
  readonly #presences: PresenceKeeper;
  readonly #bus: Bus;
  readonly #tails: Tails<ChatMessage>;
  readonly #posts: JointWrites<NewText, number>;

  constructor(rooms: ChatRooms, presences: PresenceKeeper, bus: Bus) {
    this.#rooms = rooms;
    this.#presences = presences;
    this.#bus = bus;
    this.#tails = new Tails((room) => logOf(room, rooms, bus));
    this.#posts = new JointWrites(async (room, texts) => {
      try {
        return await rooms.post(room, texts, POSTING_SCOPE);
      } finally {
        // Also after a failure, which may have taken effect.
        bus.publish(topicOf(room));
      }
    });
  }

  /**
   * Posts a text, and returns its sequence.
   *
   * @throws StoreUnavailableError if that is not certain: whoever joins again sees whether it was posted.
   */
  async post(room: string, text: NewText): Promise<number> {
    try {
      return await this.#posts.write(room, text);
    } catch (error) {
      if (error instanceof OutcomeUnknownError)
        throw new StoreUnavailableError("nobody can say whether the text has been posted; join again", error);
      throw error;
    }
  }

  /** The sequence of the latest text of a room. */
  latest(room: string, scope: Cancellable): Promise<number> {
    return this.#tails.inTurn(() => this.#rooms.latest(room, scope));
  }

  /** Reads texts of a room, as ChatRooms.list does. */
  list(
    room: string,
    page: { readonly after: number; readonly limit: number },
    scope: Cancellable,
  ): Promise<readonly ChatMessage[]> {
    return this.#tails.inTurn(() => logOf(room, this.#rooms, this.#bus).list(page, scope));
  }

  /** Opens a cursor in the texts of a room, after a sequence. */
  read(room: string, after: number, bell: Bell): Cursor<ChatMessage> {
    return this.#tails.open(room, after, bell);
  }

  /** Shows that somebody is in a room, until they leave. */
  enter(room: string, userId: string): Stay {
    return this.#presences.enter(topicOf(room), userId, "");
  }

  /** Watches who is in a room. */
  watch(room: string, bell: Bell): PresenceView {
    return this.#presences.watch(topicOf(room), bell);
  }
}

function logOf(room: string, rooms: ChatRooms, bus: Bus): Log<ChatMessage> {
  return {
    latest: (scope) => rooms.latest(room, scope),
    list: async (page, scope) => (await rooms.list(room, page, scope)).map((text) => toMessage(room, text)),
    positionOf: ({ sequence }) => Number(sequence),
    follow: (wake) => bus.follow(topicOf(room), wake),
  };
}

/** The message that delivers a text: the same object for all members, so that its bytes are made once. */
function toMessage(room: string, { sequence, userId, text, clientMessageId, postedAt }: RoomText): ChatMessage {
  const message = create(ChatMessageSchema);
  message.userId = userId;
  message.message = text;
  message.timestamp = timestampFromMs(postedAt);
  message.room = room;
  message.type = ChatMessageType.TEXT;
  message.sequence = BigInt(sequence);
  message.clientMessageId = clientMessageId;
  return Object.freeze(message);
}

function topicOf(room: string): string {
  return `room:${room}`;
}
