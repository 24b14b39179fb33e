import type { ServiceImpl } from "@connectrpc/connect";
import type { UserService } from "../gen/user/v1/user_service_pb.ts";
import { type ChatParts, createChat } from "./chat/chat.ts";
import { createUploadUserData, type UploadUserDataParts } from "./upload/upload-user-data.ts";
import { createUserReads, type UserReadParts } from "./user-reads.ts";
import { createUserWrites, type UserWriteParts } from "./user-writes.ts";
import { createWatchUsers, type WatchUsersParts } from "./watch-users.ts";

/** Makes the RPCs of user.v1.UserService; the contract says what each of them promises. */
export function createUserService(
  parts: UserReadParts & UserWriteParts & WatchUsersParts & UploadUserDataParts & ChatParts,
): ServiceImpl<typeof UserService> {
  return {
    ...createUserReads(parts),
    ...createUserWrites(parts),
    ...createWatchUsers(parts),
    ...createUploadUserData(parts),
    ...createChat(parts),
    collaborativeEdit: notServed,
  };
}

function notServed(): never {
  throw new Error("not served yet");
}
