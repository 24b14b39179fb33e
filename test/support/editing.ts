import { create } from "@bufbuild/protobuf";
import { createContextValues, type HandlerContext } from "@connectrpc/connect";
import { InProcessBus } from "../../src/bus/in-process-bus.ts";
import type { User } from "../../src/domain/user.ts";
import { CollaborativeEditRequestSchema } from "../../src/gen/user/v1/collaborative_edit_pb.ts";
import { OPERATION_RETENTION, type OperationRetention } from "../../src/repository/documents.ts";
import { MemoryDocuments } from "../../src/repository/memory/documents.ts";
import { MemoryPresences } from "../../src/repository/memory/presences.ts";
import { MemoryUserRepository } from "../../src/repository/memory/user-repository.ts";
import type { UserRepository } from "../../src/repository/user-repository.ts";
import { announcing } from "../../src/service/announced-users.ts";
import { principalKey } from "../../src/service/call-values.ts";
import { CHANGES_TOPIC } from "../../src/service/change-feed.ts";
import { createCollaborativeEdit } from "../../src/service/edit/collaborative-edit.ts";
import { PresenceKeeper } from "../../src/service/presence-keeper.ts";
import { UserChanges } from "../../src/service/user-changes.ts";
import { draft, RETENTION, SCOPE } from "../repository/suite/drafts.ts";
import type { EditCall, EditRequest } from "./editor.ts";

/** A bus that counts who follows something. */
class CountingBus extends InProcessBus {
  following = 0;

  override follow(topic: string, wake: () => void): () => void {
    this.following++;
    const unfollow = super.follow(topic, wake);
    return () => {
      this.following--;
      unfollow();
    };
  }
}

/** The RPC over repositories in memory, without a server around it. */
export interface Editing {
  readonly users: UserRepository;
  readonly documents: MemoryDocuments;
  readonly keeper: PresenceKeeper;
  readonly bus: CountingBus;
  readonly presences: MemoryPresences;
  /** Makes calls as somebody. */
  callAs(userId: string): EditCall;
  createUser(bio: string): Promise<User>;
}

export function createEditing(retention: OperationRetention = OPERATION_RETENTION): Editing {
  const bus = new CountingBus();
  const repository = new MemoryUserRepository(RETENTION);
  const users = announcing(repository, () => bus.publish(CHANGES_TOPIC));
  const documents = new MemoryDocuments(repository, retention);
  const presences = new MemoryPresences();
  const keeper = new PresenceKeeper(presences, bus);
  const userChanges = new UserChanges(users.changes, bus);
  const { collaborativeEdit } = createCollaborativeEdit({ userChanges, documents, presences: keeper, bus });
  let count = 0;
  return {
    users,
    documents,
    keeper,
    bus,
    presences,
    callAs: (id) => {
      const values = createContextValues().set(principalKey, { id, role: "user" });
      return (requests, signal) => {
        const context = { values, signal } as HandlerContext;
        return collaborativeEdit(received(requests, signal), context) as ReturnType<EditCall>;
      };
    },
    async createUser(bio) {
      const profile = bio === "" ? undefined : { bio, avatarUrl: "" };
      const [user] = await users.create([draft(`user${count++}@example.com`, { profile })], SCOPE);
      if (user === undefined) throw new Error("no user");
      return user;
    },
  };
}

/** Requests as a server hands them on: they fail once the call has ended. */
async function* received(requests: AsyncIterable<EditRequest>, signal: AbortSignal) {
  const ended = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  ended.catch(() => {});
  const iterator = requests[Symbol.asyncIterator]();
  for (;;) {
    const { done, value } = await Promise.race([iterator.next(), ended]);
    if (done) return;
    yield create(CollaborativeEditRequestSchema, value);
  }
}
