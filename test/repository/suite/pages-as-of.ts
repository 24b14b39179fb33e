import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { User } from "../../../src/domain/user.ts";
import type { Change } from "../../../src/repository/change-log.ts";
import type { UserPage, UserRepository } from "../../../src/repository/user-repository.ts";
import { FULL } from "../../support/full.ts";
import { chooseSeed, Random } from "../../support/random.ts";
import { changed, createOne, drafts, everybody, idsOf, SCOPE } from "./drafts.ts";

const WRITERS = 6;
const WRITES = FULL ? 500 : 25;

/** A page, and the revision as of which it is. */
interface PageAsOf extends UserPage {
  readonly users: readonly User[];
  readonly revision: number;
}

/** What a repository promises to those who read users and then follow the changes. */
export function pagesAsOfContract(name: string, create: () => Promise<UserRepository>): void {
  describe(`${name}.listAsOf`, () => {
    it("reads nobody from an empty repository, as of the beginning", async () => {
      const repository = await create();
      expect(await repository.listAsOf({ after: undefined, limit: 5 }, SCOPE)).toEqual({ users: [], revision: 0 });
    });

    it("reads what list does, as of the latest change", async () => {
      const repository = await create();
      const created = await repository.create(drafts(5), SCOPE);
      const [first, , third] = idsOf(created);
      await repository.update(first ?? "", changed({ age: 36 }), SCOPE);
      await repository.delete(third ?? "", () => {}, SCOPE);
      const revision = await repository.changes.latest(SCOPE);
      const afters = [undefined, "", ...idsOf(created), `${first}0`, "ffffffff-ffff-7fff-bfff-ffffffffffff"];
      for (const after of afters) {
        for (const limit of [0, 1, 3, 4, 5]) {
          const page = { after, limit };
          const users = await repository.list(page, SCOPE);
          expect(await repository.listAsOf(page, SCOPE)).toEqual({ users, revision });
        }
      }
    });

    it("says as of when there is nobody, or nobody left", async () => {
      const repository = await create();
      const { id } = await createOne(repository, "ada@example.com");
      const created = await repository.changes.latest(SCOPE);
      expect(await repository.listAsOf({ after: id, limit: 5 }, SCOPE)).toEqual({ users: [], revision: created });
      await repository.delete(id, () => {}, SCOPE);
      const deleted = await repository.changes.latest(SCOPE);
      expect(deleted).toBeGreaterThan(created);
      for (const after of [undefined, id]) {
        expect(await repository.listAsOf({ after, limit: 5 }, SCOPE)).toEqual({ users: [], revision: deleted });
      }
    });

    it("reads pages that the changes after their revision lead to the end, while many write", async () => {
      const seed = chooseSeed();
      const random = new Random(seed);
      const repository = await create();
      const writing = new Writing(repository, random);
      let done = false;
      const written = Promise.all(Array.from({ length: WRITERS }, (_, writer) => writing.run(writer))).finally(() => {
        done = true;
      });
      written.catch(() => {});
      const pages: PageAsOf[] = [];
      while (!done) {
        const after = random.pick([undefined, "ffffffff", writing.somebody(), writing.somebody()]);
        const page = { after, limit: random.between(0, 8) };
        pages.push({ ...page, ...(await repository.listAsOf(page, SCOPE)) });
        // In memory, nothing waits: let the others have a turn.
        await setImmediate();
      }
      await written;

      const context = `SEED=${seed}`;
      const changes = await repository.changes.list({ after: 0, limit: 1_000_000 }, SCOPE);
      const end = versionsOf(await everybody(repository));
      for (const page of pages) {
        const within = rangeOf(page);
        const expected = new Map([...end].filter(([id]) => within(id)));
        expect(replayed(page, changes), `${context}, after ${page.after} as of ${page.revision}`).toEqual(expected);
      }
      const revisions = new Set(pages.map(({ revision }) => revision));
      expect(revisions.size, context).toBeGreaterThan(1);
    });
  });
}

/** Writers who create, change and delete each other's users. */
class Writing {
  readonly #repository: UserRepository;
  readonly #random: Random;
  readonly #ids: string[] = [];

  constructor(repository: UserRepository, random: Random) {
    this.#repository = repository;
    this.#random = random;
  }

  somebody(): string {
    return this.#ids[this.#random.between(0, this.#ids.length - 1)] ?? "";
  }

  async run(writer: number): Promise<void> {
    for (let write = 0; write < WRITES; write++) {
      const what = this.#random.next();
      const id = this.somebody();
      if (what < 0.4 || id === "") {
        const count = this.#random.between(1, 4);
        this.#ids.push(...idsOf(await this.#repository.create(drafts(count, `${writer}-${write}-`), SCOPE)));
      } else {
        const call =
          what < 0.8
            ? this.#repository.update(id, changed({ age: write }), SCOPE)
            : this.#repository.delete(id, () => {}, SCOPE);
        // Somebody else may have deleted them.
        await call.catch((error: Error) => expect(error.name).toBe("UserNotFoundError"));
      }
      await setImmediate();
    }
  }
}

function versionsOf(users: readonly User[]): Map<string, number> {
  return new Map(users.map(({ id, version }) => [id, version]));
}

/** Whether an id is one of those that a page is about: of everybody up to its last, or to the end if it is not full. */
function rangeOf({ after, limit, users }: PageAsOf): (id: string) => boolean {
  const last = users.at(-1)?.id ?? "";
  return (id) => id > (after ?? "") && (users.length < limit || id <= last);
}

/** The versions of the users that a page is about, once later changes have been made. */
function replayed(page: PageAsOf, changes: readonly Change[]): Map<string, number> {
  const within = rangeOf(page);
  const versions = versionsOf(page.users);
  for (const { revision, userId, kind } of changes) {
    if (revision <= page.revision || !within(userId)) continue;
    if (kind === "deleted") versions.delete(userId);
    else versions.set(userId, (versions.get(userId) ?? 0) + 1);
  }
  return versions;
}
