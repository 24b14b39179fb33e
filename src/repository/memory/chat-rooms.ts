import type { ChatRetention, ChatRooms, NewText, RoomText } from "../chat-rooms.ts";

interface Room {
  latest: number;
  /** Without gaps, up to the latest. */
  texts: RoomText[];
  /** The sequences of those texts that have an id of their author's. */
  readonly byId: Map<string, number>;
}

/** Keeps what is said in rooms in the memory of this process. No method waits. */
export class MemoryChatRooms implements ChatRooms {
  readonly #retention: ChatRetention;
  readonly #rooms = new Map<string, Room>();

  constructor(retention: ChatRetention) {
    this.#retention = retention;
  }

  async post(name: string, texts: readonly NewText[]): Promise<number[]> {
    const room = this.#rooms.get(name) ?? { latest: 0, texts: [], byId: new Map() };
    this.#rooms.set(name, room);
    const postedAt = Date.now();
    this.#forget(room, postedAt);
    const sequences = texts.map((text) => add(room, text, postedAt));
    this.#forget(room, postedAt);
    return sequences;
  }

  async latest(name: string): Promise<number> {
    return this.#rooms.get(name)?.latest ?? 0;
  }

  async list(name: string, { after, limit }: { readonly after: number; readonly limit: number }): Promise<RoomText[]> {
    const room = this.#rooms.get(name);
    if (room === undefined) return [];
    this.#forget(room, Date.now());
    const first = room.latest - room.texts.length + 1;
    const start = Math.max(after + 1 - first, 0);
    return room.texts.slice(start, start + limit);
  }

  /** Takes the words from what a user has said. */
  erase(userId: string): void {
    for (const room of this.#rooms.values())
      room.texts = room.texts.map((text) => (text.userId === userId ? { ...text, text: "" } : text));
  }

  #forget(room: Room, now: number): void {
    const { maxCount, maxAgeMs } = this.#retention;
    let count = Math.max(room.texts.length - maxCount, 0);
    while ((room.texts[count]?.postedAt ?? now) < now - maxAgeMs) count++;
    for (const text of room.texts.splice(0, count)) room.byId.delete(idOf(text));
  }
}

function add(room: Room, text: NewText, postedAt: number): number {
  const known = text.clientMessageId === "" ? undefined : room.byId.get(idOf(text));
  if (known !== undefined) return known;
  room.latest++;
  room.texts.push({ ...text, sequence: room.latest, postedAt });
  if (text.clientMessageId !== "") room.byId.set(idOf(text), room.latest);
  return room.latest;
}

/** What tells a text from all others of its room. Neither part has U+0000. */
function idOf({ userId, clientMessageId }: NewText): string {
  return `${userId}\0${clientMessageId}`;
}
