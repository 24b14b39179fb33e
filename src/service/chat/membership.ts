import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type ChatMessage, ChatMessageSchema, ChatMessageType } from "../../gen/user/v1/user_service_pb.ts";
import type { Cancellable } from "../../repository/scope.ts";
import type { Bell } from "../bell.ts";
import type { Stay } from "../presence-keeper.ts";
import type { PresenceView } from "../presence-view.ts";
import type { Cursor } from "../tail.ts";
import type { Rooms } from "./rooms.ts";

/** So many texts are taken at a time. */
const BATCH = 32;
/** So many members are named to somebody who joins. */
const MAX_MEMBER_IDS = 1000;

/** Who joins which room, and after which sequence the texts begin that they want. */
export interface Joining {
  readonly room: string;
  readonly userId: string;
  readonly after: number;
}

/**
 * One call's being in a room: what it has been told, and what it is to be told. First the history, then that the room
 * is joined, then whatever happens.
 */
export class Membership {
  readonly room: string;
  readonly userId: string;
  /** Resolves when the membership is closed. */
  readonly closed: Promise<void>;
  readonly #rooms: Rooms;
  readonly #bell: Bell;
  readonly #stay: Stay;
  readonly #view: PresenceView;
  readonly #historyEnd: number;
  /** The sequence of the last text that was delivered, or told to be gone. */
  #delivered: number;
  /** Undefined until the history has been delivered. */
  #cursor: Cursor<ChatMessage> | undefined;
  #members: ReadonlySet<string> = new Set();
  #goal = Number.POSITIVE_INFINITY;
  #farewell = false;
  readonly #onClosed: () => void;

  /** Joins a room, whose latest text has the sequence `latest`. The bell rings when it is worth asking what is due. */
  constructor(rooms: Rooms, { room, userId, after }: Joining, latest: number, bell: Bell) {
    this.room = room;
    this.userId = userId;
    this.#rooms = rooms;
    this.#bell = bell;
    this.#stay = rooms.enter(room, userId);
    this.#view = rooms.watch(room, bell);
    this.#historyEnd = latest;
    this.#delivered = Math.min(after, latest);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#onClosed = resolve;
  }

  /** Whether all has been told up to where the membership ends. */
  get isOver(): boolean {
    return this.#cursor !== undefined && this.#delivered >= this.#goal;
  }

  /**
   * Has the membership end when the texts up to this sequence are delivered; with a `farewell`, the client is told that
   * it has.
   */
  endAfter(sequence: number, farewell: boolean): void {
    this.#goal = sequence;
    this.#farewell = farewell;
    this.#bell.ring();
  }

  /** What is to be told now: some of it, or nothing, and then the bell rings when there may be something. */
  async nextMessages(scope: Cancellable): Promise<readonly ChatMessage[]> {
    if (this.#cursor === undefined) return this.#history(scope);
    const texts = this.#tell(await this.#cursor.take(scope));
    const moves = this.#comingsAndGoings();
    if (texts.length === 0 && moves.length === 0) return this.#missing(scope);
    return moves.length === 0 ? texts : [...texts, ...moves];
  }

  /** What is told at the end. */
  get lastWords(): ChatMessage[] {
    return this.#farewell ? [this.#notice(ChatMessageType.LEFT, { sequence: BigInt(this.#delivered) })] : [];
  }

  close(): void {
    this.#cursor?.close();
    this.#view.close();
    this.#stay.leave();
    this.#onClosed();
  }

  async #history(scope: Cancellable): Promise<readonly ChatMessage[]> {
    if (this.#delivered < this.#historyEnd) {
      const texts = await this.#rooms.list(this.room, { after: this.#delivered, limit: BATCH }, scope);
      // Where nothing is left of what there was, that is what there is to tell.
      return texts.length > 0 ? this.#tell(texts) : [this.#gap(this.#historyEnd)];
    }
    await this.#view.loaded;
    this.#cursor = this.#rooms.read(this.room, this.#delivered, this.#bell);
    this.#members = this.#view.members;
    const others = this.#members
      .values()
      .filter(this.#isOther)
      .take(MAX_MEMBER_IDS - 1);
    const joined = { sequence: BigInt(this.#delivered), memberIds: [this.userId, ...others] };
    return [this.#notice(ChatMessageType.JOINED, joined)];
  }

  /** Where nothing is left of what is still owed, that is what there is to tell. */
  async #missing(scope: Cancellable): Promise<ChatMessage[]> {
    if (this.#goal === Number.POSITIVE_INFINITY || this.isOver) return [];
    const left = await this.#rooms.list(this.room, { after: this.#delivered, limit: 1 }, scope);
    return left.length > 0 ? [] : [this.#gap(this.#goal)];
  }

  /** What delivers texts: these themselves, the same for all, unless something is missing before or between them. */
  #tell(texts: readonly ChatMessage[]): readonly ChatMessage[] {
    const last = Number(texts.at(-1)?.sequence ?? this.#delivered);
    if (last === this.#delivered + texts.length) {
      this.#delivered = last;
      return texts;
    }
    return texts.flatMap((text) => {
      const sequence = Number(text.sequence);
      const gap = sequence > this.#delivered + 1 ? [this.#gap(sequence - 1)] : [];
      this.#delivered = sequence;
      return [...gap, text];
    });
  }

  #gap(through: number): ChatMessage {
    this.#delivered = through;
    return this.#notice(ChatMessageType.GAP, { sequence: BigInt(through) });
  }

  #comingsAndGoings(): ChatMessage[] {
    const { came, went } = this.#view.movesSince(this.#members);
    this.#members = this.#view.members;
    return [
      ...came.filter(this.#isOther).map((userId) => this.#notice(ChatMessageType.MEMBER_JOINED, { userId })),
      ...went.filter(this.#isOther).map((userId) => this.#notice(ChatMessageType.MEMBER_LEFT, { userId })),
    ];
  }

  /** A member is there in any case, whether others see them yet or not. */
  readonly #isOther = (userId: string): boolean => userId !== this.userId;

  #notice(type: ChatMessageType, rest: MessageInitShape<typeof ChatMessageSchema>): ChatMessage {
    return create(ChatMessageSchema, { ...rest, room: this.room, type });
  }
}
