import { roomPostsContract } from "./suite/room-posts.ts";
import { roomReadsContract } from "./suite/room-reads.ts";
import type { OpenRooms } from "./suite/rooms.ts";

/** Holds an adapter to the contract of ChatRooms: one test per promise. */
export function chatRoomsContract(name: string, open: OpenRooms): void {
  roomPostsContract(name, open);
  roomReadsContract(name, open);
}
