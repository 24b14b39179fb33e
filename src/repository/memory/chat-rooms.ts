import { type ChatRetention, type ChatRooms, type NewText, type RoomText, textKey } from "../chat-rooms.ts";

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
  /** Who has been deleted. */
  readonly #erased = new Set<string>();
  #round = this.#rooms.values();

  constructor(retention: ChatRetention) {
    this.#retention = retention;
  }

  async post(name: string, texts: readonly NewText[]): Promise<number[]> {
    const room = this.#rooms.get(name) ?? { latest: 0, texts: [], byId: new Map() };
    this.#rooms.set(name, room);
    const postedAt = Date.now();
    this.#forget(room, postedAt);
    const sequences = texts.map((text) =>
      add(room, this.#erased.has(text.userId) ? withoutWords(text) : text, postedAt),
    );
    this.#forget(room, postedAt);
    this.#forgetElsewhere(postedAt);
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

  /** Takes the words from what a user has said, and from what they yet say. */
  erase(userId: string): void {
    this.#erased.add(userId);
    for (const room of this.#rooms.values())
      room.texts = room.texts.map((text) => (text.userId === userId ? withoutWords(text) : text));
  }

  /** One other room at a time, so that those are not forgotten in which nobody posts. */
  #forgetElsewhere(now: number): void {
    const { done, value: room } = this.#round.next();
    if (done) this.#round = this.#rooms.values();
    else this.#forget(room, now);
  }

  #forget(room: Room, now: number): void {
    const { maxCount, maxAgeMs } = this.#retention;
    let count = Math.max(room.texts.length - maxCount, 0);
    while ((room.texts[count]?.postedAt ?? now) < now - maxAgeMs) count++;
    for (const text of room.texts.splice(0, count)) room.byId.delete(textKey(text));
  }
}

function add(room: Room, text: NewText, postedAt: number): number {
  const known = text.clientMessageId === "" ? undefined : room.byId.get(textKey(text));
  if (known !== undefined) return known;
  room.latest++;
  room.texts.push({ ...text, sequence: room.latest, postedAt });
  if (text.clientMessageId !== "") room.byId.set(textKey(text), room.latest);
  return room.latest;
}

function withoutWords<T extends NewText>(text: T): T {
  return { ...text, text: "" };
}
