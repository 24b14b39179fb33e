import { onTestFinished, vi } from "vitest";
import { MemoryChatRooms } from "../../../src/repository/memory/chat-rooms.ts";
import { MemoryUserRepository } from "../../../src/repository/memory/user-repository.ts";
import { chatRoomsContract } from "../chat-rooms-suite.ts";
import { RETENTION } from "../suite/drafts.ts";
import type { OpenRooms } from "../suite/rooms.ts";

const open: OpenRooms = async (retention = RETENTION) => {
  const rooms = new MemoryChatRooms(retention);
  const users = new MemoryUserRepository(RETENTION);
  users.onDeleted((userId) => rooms.erase(userId));
  return {
    replicas: [rooms],
    users,
    async age(ms) {
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + ms });
      onTestFinished(() => void vi.useRealTimers());
    },
    // Done by itself.
    forget: async () => {},
  };
};

chatRoomsContract("MemoryChatRooms", open);
