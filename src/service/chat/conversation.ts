import {
  AlreadyInRoomError,
  type InvalidInputError,
  invalidInput,
  NotInRoomError,
  TooManyRoomsError,
} from "../../domain/errors.ts";
import { type ChatMessage, ChatMessageType } from "../../gen/user/v1/user_service_pb.ts";
import type { Cancellable } from "../../repository/scope.ts";
import { Bell } from "../bell.ts";
import { echoOf } from "./echo.ts";
import { Membership } from "./membership.ts";
import type { Rooms } from "./rooms.ts";

const MAX_ROOMS = 16;
const MAX_TEXT_BYTES = 8192;
/**
 * So many texts of a call may be on their way into rooms, and so many answers on their way out, before no more is read
 * of it.
 */
const MAX_POSTING = 64;
const MAX_ANSWERS = 64;
const MAX_ANSWERS_LENGTH = 2 ** 16;

/** Says who writes a message to a room; `otherwise` is who joined it. */
export type AuthorOf = (message: ChatMessage, otherwise?: string) => string;

/**
 * A call that talks in rooms: what its client says is heard while what happens in the rooms is told. For a client that
 * does not read, a batch of texts and some echoes are kept, and the place up to which it has read.
 */
export class Conversation {
  readonly #rooms: Rooms;
  readonly #authorOf: AuthorOf;
  readonly #scope: Cancellable;
  readonly #bell = new Bell();
  readonly #memberships = new Map<string, Membership>();
  readonly #answers: ChatMessage[] = [];
  #answersLength = 0;
  readonly #answersTaken = new Bell();
  readonly #posting = new Set<Promise<void>>();
  #messages: number;
  #heardAll = false;
  /** Whether the call has ended. */
  #over = false;
  #failure: { readonly error: unknown } | undefined;

  /** `heard` is the number of messages that the call has heard before. */
  constructor(rooms: Rooms, authorOf: AuthorOf, scope: Cancellable, heard: number) {
    this.#rooms = rooms;
    this.#authorOf = authorOf;
    this.#scope = scope;
    this.#messages = heard;
  }

  /**
   * Hears messages and those after them, and tells what there is to tell, until after the half-close all that is owed
   * is told.
   */
  async *run(
    first: readonly ChatMessage[],
    others: AsyncIterator<readonly ChatMessage[]>,
  ): AsyncGenerator<readonly ChatMessage[]> {
    void this.#listen(first, others);
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure.error;
        const told = yield* this.#deliver();
        if (told) continue;
        if (this.#heardAll && this.#memberships.size === 0 && this.#answers.length === 0) return;
        await this.#bell.wait(this.#scope.signal);
      }
    } finally {
      this.#over = true;
      for (const membership of this.#memberships.values()) membership.close();
    }
  }

  /** Tells what there is now. Returns whether there was something. */
  async *#deliver(): AsyncGenerator<readonly ChatMessage[], boolean> {
    let told = false;
    const answers = this.#answers.splice(0);
    this.#answersLength = 0;
    if (answers.length > 0) {
      this.#answersTaken.ring();
      yield answers;
      told = true;
    }
    for (const membership of [...this.#memberships.values()]) {
      const due = await membership.nextMessages(this.#scope);
      if (due.length > 0) yield due;
      told ||= due.length > 0;
      if (!membership.isOver) continue;
      this.#memberships.delete(membership.room);
      membership.close();
      if (membership.lastWords.length > 0) yield membership.lastWords;
      told = true;
    }
    return told;
  }

  async #listen(first: readonly ChatMessage[], others: AsyncIterator<readonly ChatMessage[]>): Promise<void> {
    try {
      for (const message of first) await this.#handle(message);
      for (let next = await others.next(); !next.done; next = await others.next())
        for (const message of next.value) await this.#handle(message);
      this.#heardAll = true;
      await this.#end([...this.#memberships.values()], false);
    } catch (error) {
      this.#failure ??= { error };
    }
    this.#bell.ring();
  }

  async #handle(message: ChatMessage): Promise<void> {
    // What comes after a fault must not take effect without what has failed.
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#over) return;
    const index = this.#messages++;
    if (message.room === "") return this.#answer(message);
    if (message.userId.includes("\0"))
      throw invalid(index, "user_id", "USER_ID_CHARACTER", "must not contain U+0000 in a room");
    switch (message.type) {
      case ChatMessageType.UNSPECIFIED:
      case ChatMessageType.TEXT:
        return this.#post(message, index);
      case ChatMessageType.JOIN:
        return this.#join(message);
      case ChatMessageType.LEAVE:
        return this.#leave(message.room);
      default:
        throw invalid(index, "type", "TYPE_NOT_ALLOWED", "must not be one that only the server sends");
    }
  }

  async #answer(message: ChatMessage): Promise<void> {
    this.#answers.push(echoOf(message));
    this.#answersLength += message.message.length;
    this.#bell.ring();
    while (this.#answers.length >= MAX_ANSWERS || this.#answersLength >= MAX_ANSWERS_LENGTH)
      await this.#answersTaken.wait(this.#scope.signal);
  }

  async #join(message: ChatMessage): Promise<void> {
    const { room } = message;
    if (this.#memberships.has(room)) throw new AlreadyInRoomError(room);
    if (this.#memberships.size === MAX_ROOMS) throw new TooManyRoomsError(MAX_ROOMS);
    const latest = await this.#rooms.latest(room, this.#scope);
    if (this.#over) return;
    const joining = { room, userId: this.#authorOf(message), after: Number(message.afterSequence) };
    this.#memberships.set(room, new Membership(this.#rooms, joining, latest, this.#bell));
    this.#bell.ring();
  }

  /** Resolves when the client has been told all, so that it can join again. */
  async #leave(room: string): Promise<void> {
    const membership = this.#membershipIn(room);
    await this.#end([membership], true);
    await membership.closed;
  }

  async #post(message: ChatMessage, index: number): Promise<void> {
    const { userId } = this.#membershipIn(message.room);
    requireText(message.message, index);
    const text = {
      userId: this.#authorOf(message, userId),
      text: message.message,
      clientMessageId: message.clientMessageId,
    };
    const posting = this.#rooms.post(message.room, text).then(
      () => {},
      (error: unknown) => {
        this.#failure ??= { error };
        this.#bell.ring();
      },
    );
    this.#posting.add(posting);
    void posting.then(() => this.#posting.delete(posting));
    if (this.#posting.size >= MAX_POSTING) await Promise.race(this.#posting);
  }

  /** Has memberships end when all has been delivered that is posted by now, what this call has posted included. */
  async #end(memberships: readonly Membership[], farewell: boolean): Promise<void> {
    await Promise.all(this.#posting);
    await Promise.all(
      memberships.map(async (membership) =>
        membership.endAfter(await this.#rooms.latest(membership.room, this.#scope), farewell),
      ),
    );
  }

  #membershipIn(room: string): Membership {
    const membership = this.#memberships.get(room);
    if (membership === undefined) throw new NotInRoomError(room);
    return membership;
  }
}

function requireText(text: string, index: number): void {
  const bytes = Buffer.byteLength(text);
  if (bytes === 0 || bytes > MAX_TEXT_BYTES)
    throw invalid(index, "message", "TEXT_LENGTH", `must have 1 to ${MAX_TEXT_BYTES} bytes in a room`);
  if (text.includes("\0")) throw invalid(index, "message", "TEXT_CHARACTER", "must not contain U+0000 in a room");
}

function invalid(index: number, field: string, reason: string, description: string): InvalidInputError {
  return invalidInput(`messages[${index}].${field}`, reason, description);
}
