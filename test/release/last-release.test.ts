import * as errors from "../../src/domain/errors.ts";
import type { openStore, Store } from "../../src/repository/postgres/store.ts";
import type { UserRepository } from "../../src/repository/user-repository.ts";
import { userRepositoryContract } from "../repository/user-repository-suite.ts";
import { openFound, testStores } from "../support/store.ts";

/**
 * The storage layer of the last release; see CONTRIBUTING.md. It knows the tables as they were then. It makes its ids where
 * this release does: only ids of one process are promised to ascend.
 */
const LAST_RELEASE = "../baseline/storage/dist/repository/postgres/store.js";

const emptyStore = testStores(async (url): Promise<Store> => {
  // This release first: it migrates, and the last one has to be content with what it finds.
  const now = await openFound(url);
  const { openStore: open } = (await import(LAST_RELEASE)) as { openStore: typeof openStore };
  const before = await openFound(url, open);
  return {
    ...now,
    users: inTurns(now.users, before.users),
    close: async () => void (await Promise.all([now.close(), before.close()])),
  };
});

userRepositoryContract(
  "a replica of the last release beside one of this, in turns,",
  async () => (await emptyStore()).users,
);

/** One repository that has each call done by one of two, in turns. */
function inTurns(one: UserRepository, other: UserRepository): UserRepository {
  let calls = 0;
  return new Proxy(one, {
    get(_, name) {
      const member: unknown = Reflect.get(one, name);
      if (name === "changes") return inTurns(one.changes as never, other.changes as never); // It too has methods alone.
      if (typeof member !== "function") return member;
      return async (...args: readonly unknown[]) => {
        // What the last release does not know, this one does.
        const repository = calls++ % 2 === 0 || !(name in other) ? one : other;
        try {
          return await Reflect.get(repository, name).apply(repository, args);
        } catch (error) {
          throw ofThisRelease(error);
        }
      };
    },
  });
}

/** The last release has error classes of its own, under the same names. */
function ofThisRelease(error: unknown): unknown {
  const type = error instanceof Error && Object.entries(errors).find(([name]) => name === error.name)?.[1];
  return type ? Object.setPrototypeOf(error, type.prototype) : error;
}
