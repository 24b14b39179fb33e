import type { Cancellable } from "./scope.ts";

/** A text to post. */
export interface NewText {
  readonly userId: string;
  readonly text: string;
  /** What the author knows the text by; empty for nothing. */
  readonly clientMessageId: string;
}

/** A text that has been posted. */
export interface RoomText extends NewText {
  /** 1 for the first of its room, and one more for each that follows. */
  readonly sequence: number;
  /** Empty if its author is a user who has been deleted, before or since. */
  readonly text: string;
  /** Milliseconds since the Unix epoch. */
  readonly postedAt: number;
}

/** What tells a text that has an id from all others of its room. Neither part has U+0000. */
export function textKey({ userId, clientMessageId }: Pick<NewText, "userId" | "clientMessageId">): string {
  return `${userId}\0${clientMessageId}`;
}

/** Which texts of a room are kept: the latest, as far as they are not too old. */
export interface ChatRetention {
  readonly maxCount: number;
  readonly maxAgeMs: number;
}

/**
 * What has been said in rooms. A room is there as soon as something is posted in it. This is the contract of every
 * adapter. An adapter whose texts are elsewhere fails as a UserRepository does.
 */
export interface ChatRooms {
  /**
   * Posts texts in a room, all or none, in their order, and returns the sequences that they have. A text whose author
   * has posted another one in the room with the same id, which is not empty, is not posted: it has the sequence of that
   * one, as long as that is kept. Texts can be read in the order of their sequences: none appears before one that a
   * reader may already have read.
   */
  post(room: string, texts: readonly NewText[], scope: Cancellable): Promise<number[]>;

  /** The sequence of the latest text that was posted; 0 if there was none. */
  latest(room: string, scope: Cancellable): Promise<number>;

  /**
   * Reads up to `limit` texts in ascending order, all of whose sequences are greater than `after`. Where the first of
   * them that there were is no longer kept, begins with the first that is.
   */
  list(room: string, page: { readonly after: number; readonly limit: number }, scope: Cancellable): Promise<RoomText[]>;
}
