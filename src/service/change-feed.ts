import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Bus } from "../bus/bus.ts";
import { WatchEventType, type WatchUsersResponse, WatchUsersResponseSchema } from "../gen/user/v1/watch_pb.ts";
import type { Cancellable } from "../repository/scope.ts";
import type { UserRepository } from "../repository/user-repository.ts";
import type { SealedTokens } from "./sealed-tokens.ts";
import type { Log } from "./tail.ts";
import { toPassingUserMessage } from "./user-message.ts";

/** The topic of the bus on which changes of users are published. */
export const CHANGES_TOPIC = "changes";

const TYPES = {
  created: WatchEventType.CREATED,
  updated: WatchEventType.UPDATED,
  deleted: WatchEventType.DELETED,
} as const;

/** The changes of users as a log of the events that tell of them, with the users as of then or later. */
export class ChangeFeed implements Log<WatchUsersResponse> {
  readonly #users: UserRepository;
  readonly #bus: Bus;
  readonly #tokens: SealedTokens;

  constructor(users: UserRepository, bus: Bus, tokens: SealedTokens) {
    this.#users = users;
    this.#bus = bus;
    this.#tokens = tokens;
  }

  latest(scope: Cancellable): Promise<number> {
    return this.#users.changes.latest(scope);
  }

  async list(
    page: { readonly after: number; readonly limit: number },
    scope: Cancellable,
  ): Promise<WatchUsersResponse[]> {
    const changes = await this.#users.changes.list(page, scope);
    // Of the deleted ones, nothing is left.
    const ids = new Set(changes.filter(({ kind }) => kind !== "deleted").map(({ userId }) => userId));
    const users = ids.size === 0 ? [] : await this.#users.getMany([...ids], scope);
    const messages = new Map(users.map((user) => [user?.id, user && toPassingUserMessage(user)]));
    return changes.map(({ revision, userId, kind, changedAt }) => {
      const message = create(WatchUsersResponseSchema);
      message.type = TYPES[kind];
      message.resumeToken = this.#tokens.seal(String(revision));
      message.revision = BigInt(revision);
      message.userId = userId;
      message.changedAt = timestampFromMs(changedAt);
      const user = kind === "deleted" ? undefined : messages.get(userId);
      if (user !== undefined) message.user = user;
      // The same object for everybody, whose bytes are made once.
      return Object.freeze(message);
    });
  }

  positionOf({ revision }: WatchUsersResponse): number {
    return Number(revision);
  }

  follow(wake: () => void): () => void {
    return this.#bus.follow(CHANGES_TOPIC, wake);
  }
}
