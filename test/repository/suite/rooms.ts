import { randomUUID } from "node:crypto";
import type { ChatRetention, ChatRooms, NewText, RoomText } from "../../../src/repository/chat-rooms.ts";
import type { UserRepository } from "../../../src/repository/user-repository.ts";
import { SCOPE } from "./drafts.ts";

/** Rooms to test, and what belongs to them. */
export interface RoomsPlace {
  /** The same rooms, as several replicas have them. */
  readonly replicas: readonly [ChatRooms, ...ChatRooms[]];
  /** The users who may be authors. */
  readonly users: UserRepository;
  /** Makes all texts older. */
  age(ms: number): Promise<void>;
  /** Forgets what is not to be kept, where that is not done by itself. */
  forget(): Promise<void>;
}

/** Opens rooms; those with new names are empty. What it holds, it releases by itself. */
export type OpenRooms = (retention?: ChatRetention) => Promise<RoomsPlace>;

/** The name of a room in which nothing has been posted. */
export function newRoom(): string {
  return `room ${randomUUID()}`;
}

/** A text to post. */
export function textOf(text: string, fields: Partial<NewText> = {}): NewText {
  return { userId: "ada", clientMessageId: "", ...fields, text };
}

/** `count` texts to post, none like another. */
export function texts(count: number, prefix = "text", fields: Partial<NewText> = {}): NewText[] {
  return Array.from({ length: count }, (_, index) => textOf(`${prefix} ${index}`, fields));
}

/** All texts of a room that are kept. */
export function allOf(rooms: ChatRooms, room: string): Promise<RoomText[]> {
  return rooms.list(room, { after: 0, limit: 1_000_000 }, SCOPE);
}

/** What the kept texts of a room say, each after its sequence. */
export async function saidIn(rooms: ChatRooms, room: string): Promise<string[]> {
  return (await allOf(rooms, room)).map(({ sequence, text }) => `${sequence} ${text}`);
}

export function sequencesOf(listed: readonly RoomText[]): number[] {
  return listed.map(({ sequence }) => sequence);
}

/** Whole numbers from `first` to `last`, both included. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(last - first + 1, 0) }, (_, index) => first + index);
}
