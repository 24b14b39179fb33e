import { describe, expect, it } from "vitest";
import type { User } from "../../../src/domain/user.ts";
import type { Change, ChangeKind } from "../../../src/repository/change-log.ts";
import type { WriteScope } from "../../../src/repository/scope.ts";
import type { NewUser, UserRepository } from "../../../src/repository/user-repository.ts";
import { FULL } from "../../support/full.ts";
import {
  callOffLaterAndLater,
  changed,
  createOne,
  draft,
  drafts,
  everybody,
  FULL_USER,
  idsOf,
  outcomesOf,
  SCOPE,
  scopeOf,
} from "./drafts.ts";

/** The check that lets every deletion pass. */
function pass(): void {}

/** How often each of several writers writes. */
const ROUNDS = FULL ? 10 : 4;

/** All changes there are after a revision, read in pages. */
async function changesAfter({ changes }: UserRepository, revision: number, limit = 1000): Promise<Change[]> {
  const read: Change[] = [];
  for (;;) {
    const page = await changes.list({ after: read.at(-1)?.revision ?? revision, limit }, SCOPE);
    if (page.length === 0) return read;
    expect(page.length).toBeLessThanOrEqual(limit);
    read.push(...page);
  }
}

/** What changes say apart from revision and time. */
function eventsOf(changes: readonly Change[]): { userId: string; kind: ChangeKind }[] {
  return changes.map(({ userId, kind }) => ({ userId, kind }));
}

/** Nobody promises the order in which the users of one call are created. */
function sorted(changes: readonly Change[]): unknown[] {
  return eventsOf(changes).toSorted((one, other) => (one.userId < other.userId ? -1 : 1));
}

function isAscending(numbers: readonly number[]): boolean {
  return numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? number));
}

const REQUEST = { caller: "alice", id: "7d2f", fingerprint: "of the content" };
const REASON = new Error("no");

function refuse(): never {
  throw REASON;
}

/** What a repository promises to those who follow its changes. */
export function changesContract(name: string, create: () => Promise<UserRepository>): void {
  describe(`${name}.changes`, () => {
    it("has none at first", async () => {
      const { changes } = await create();
      expect(await changes.latest(SCOPE)).toBe(0);
      expect(await changes.list({ after: 0, limit: 10 }, SCOPE)).toEqual([]);
    });

    it("has one for each creation, update and deletion, in the order in which they took effect", async () => {
      const repository = await create();
      const ada = await createOne(repository, "ada@example.com");
      const bob = await createOne(repository, "bob@example.com");
      await repository.update(bob.id, changed({ age: 36 }), SCOPE);
      await repository.update(ada.id, changed({ email: "lovelace@example.com" }), SCOPE);
      await repository.delete(bob.id, pass, SCOPE);
      await repository.update(ada.id, changed({ status: "suspended" }), SCOPE);
      expect(eventsOf(await changesAfter(repository, 0))).toEqual([
        { userId: ada.id, kind: "created" },
        { userId: bob.id, kind: "created" },
        { userId: bob.id, kind: "updated" },
        { userId: ada.id, kind: "updated" },
        { userId: bob.id, kind: "deleted" },
        { userId: ada.id, kind: "updated" },
      ]);
    });

    it("has one for each user of a creation, after those of the calls before", async () => {
      const repository = await create();
      let latest = 0;
      for (const prefix of ["z", "a", "m"]) {
        const users = await repository.create(drafts(5, prefix), SCOPE);
        const changes = await changesAfter(repository, latest);
        expect(sorted(changes)).toEqual(users.map(({ id }) => ({ userId: id, kind: "created" })));
        latest = changes.at(-1)?.revision ?? 0;
      }
    });

    it("has one for each user of a large creation", async () => {
      const repository = await create();
      const users = await repository.create(drafts(600), SCOPE);
      const changes = await changesAfter(repository, 0, 500);
      expect(changes).toHaveLength(600);
      expect(new Set(changes.map(({ userId }) => userId))).toEqual(new Set(idsOf(users)));
      expect(isAscending(changes.map(({ revision }) => revision))).toBe(true);
    });

    it("says when each of them was made, in whole milliseconds", async () => {
      const repository = await create();
      await repository.create(drafts(3), SCOPE);
      for (const { changedAt } of await changesAfter(repository, 0)) {
        expect(Number.isInteger(changedAt)).toBe(true);
        // By the clock of whoever keeps the users.
        expect(Math.abs(changedAt - Date.now())).toBeLessThan(60_000);
      }
    });

    it("says nothing of what users are like", async () => {
      const repository = await create();
      const { id } = await createOne(repository, FULL_USER.email, FULL_USER);
      await repository.update(id, changed({ name: "Ada King" }), SCOPE);
      await repository.delete(id, pass, SCOPE);
      const all = { revision: expect.any(Number), userId: id, kind: expect.any(String), changedAt: expect.any(Number) };
      expect(await changesAfter(repository, 0)).toStrictEqual([all, all, all]);
    });

    it("has a change as soon as the call that made it has returned", async () => {
      const repository = await create();
      let latest = 0;
      const next = async () => {
        const found = await repository.changes.list({ after: latest, limit: 10 }, SCOPE);
        latest = await repository.changes.latest(SCOPE);
        expect(found.map(({ revision }) => revision)).toEqual([latest]);
        return found[0]?.kind;
      };
      for (const one of drafts(10)) {
        const { id } = await createOne(repository, one.email);
        expect(await next()).toBe("created");
        await repository.update(id, changed({ age: 36 }), SCOPE);
        expect(await next()).toBe("updated");
        await repository.delete(id, pass, SCOPE);
        expect(await next()).toBe("deleted");
      }
    });
  });

  describe(`${name}.changes, read in pages`, () => {
    it("has each of them once, in pages of any size", async () => {
      const repository = await create();
      await repository.create(drafts(7), SCOPE);
      const all = await changesAfter(repository, 0);
      expect(all).toHaveLength(7);
      for (let limit = 1; limit <= 8; limit++) expect(await changesAfter(repository, 0, limit)).toEqual(all);
    });

    it("has revisions that ascend, the last of which is the latest", async () => {
      const repository = await create();
      await repository.create(drafts(7), SCOPE);
      const revisions = (await changesAfter(repository, 0)).map(({ revision }) => revision);
      expect(revisions[0]).toBeGreaterThan(0);
      expect(isAscending(revisions)).toBe(true);
      expect(await repository.changes.latest(SCOPE)).toBe(revisions.at(-1));
    });

    it("reads those whose revision is greater, and no others", async () => {
      const repository = await create();
      await repository.create(drafts(4), SCOPE);
      const all = await changesAfter(repository, 0);
      for (const [index, { revision }] of all.entries()) {
        const page = { after: revision, limit: 2 };
        expect(await repository.changes.list(page, SCOPE)).toEqual(all.slice(index + 1, index + 3));
        expect(await repository.changes.list({ ...page, after: revision - 1 }, SCOPE)).toEqual(
          all.slice(index, index + 2),
        );
      }
    });

    it("reads none after the latest, nor after a revision to come", async () => {
      const repository = await create();
      await repository.create(drafts(3), SCOPE);
      const latest = await repository.changes.latest(SCOPE);
      for (const after of [latest, latest + 1, latest + 1000, Number.MAX_SAFE_INTEGER]) {
        expect(await repository.changes.list({ after, limit: 10 }, SCOPE)).toEqual([]);
      }
    });

    it("reads none when the limit is 0", async () => {
      const repository = await create();
      await repository.create(drafts(3), SCOPE);
      expect(await repository.changes.list({ after: 0, limit: 0 }, SCOPE)).toEqual([]);
    });

    it("leaves what it has told as it is, whatever happens later", async () => {
      const repository = await create();
      const { id } = await createOne(repository, "ada@example.com");
      const before = await changesAfter(repository, 0);
      const copy = structuredClone(before);
      await repository.delete(id, pass, SCOPE);
      expect(before).toEqual(copy);
      expect((await changesAfter(repository, 0)).slice(0, 1)).toEqual(copy);
    });
  });

  describe(`${name}.changes, when nothing changes`, () => {
    const aborted = scopeOf({ signal: AbortSignal.abort(REASON) });
    const ada: NewUser = { ...draft("ada@example.com", { username: "ada" }), request: REQUEST };

    it.each<{ what: string; call: (repository: UserRepository, ada: User) => Promise<unknown>; fails?: true }>([
      { what: "nobody is created", call: (to) => to.create([], SCOPE) },
      { what: "a request is repeated", call: (to) => to.create([ada, { ...ada }], SCOPE) },
      {
        what: "a request id is used again for something else",
        call: (to) => to.create([...drafts(2), { ...ada, request: { ...REQUEST, fingerprint: "of other" } }], SCOPE),
        fails: true,
      },
      {
        what: "an e-mail address is taken",
        call: (to) => to.create([...drafts(2), draft(ada.email)], SCOPE),
        fails: true,
      },
      { what: "a username is taken", call: (to) => createOne(to, "x@example.com", { username: "ADA" }), fails: true },
      {
        what: "drafts want the same address",
        call: (to) => to.create([...drafts(2), ...drafts(1)], SCOPE),
        fails: true,
      },
      { what: "a creation is called off", call: (to) => to.create(drafts(2), aborted), fails: true },
      { what: "a change has no effect", call: (to, { id }) => to.update(id, () => undefined, SCOPE) },
      { what: "a change throws", call: (to, { id }) => to.update(id, refuse, SCOPE), fails: true },
      {
        what: "a change is called off",
        call: (to, { id }) => to.update(id, changed({ age: 1 }), aborted),
        fails: true,
      },
      {
        what: "the new address is another user's",
        call: (to, { id }) => to.update(id, changed({ age: 1, email: "bob@example.com" }), SCOPE),
        fails: true,
      },
      {
        what: "nobody has the id of a change",
        call: (to) => to.update("no id", changed({ age: 1 }), SCOPE),
        fails: true,
      },
      { what: "nobody has the id of a deletion", call: (to) => to.delete("no id", pass, SCOPE), fails: true },
      { what: "the check of a deletion throws", call: (to, { id }) => to.delete(id, refuse, SCOPE), fails: true },
      { what: "a deletion is called off", call: (to, { id }) => to.delete(id, pass, aborted), fails: true },
    ])("has none more when $what", async ({ call, fails = false }) => {
      const repository = await create();
      const [user] = await repository.create([ada, draft("bob@example.com")], SCOPE);
      const before = await changesAfter(repository, 0);
      const latest = await repository.changes.latest(SCOPE);

      const { errors } = await outcomesOf([call(repository, user ?? expect.fail("no user was created"))]);
      expect(errors).toHaveLength(fails ? 1 : 0);
      expect(await changesAfter(repository, 0)).toEqual(before);
      expect(await repository.changes.latest(SCOPE)).toBe(latest);
    });

    it("has one for each new user of a creation in which other requests are known", async () => {
      const repository = await create();
      await repository.create([ada], SCOPE);
      const latest = await repository.changes.latest(SCOPE);
      const eve = { ...draft("eve@example.com"), request: { ...REQUEST, id: "e5e5" } };
      const users = await repository.create([draft("bob@example.com"), ada, eve, { ...eve }], SCOPE);
      const created = [users[0], users[2]].map((user) => ({ userId: user?.id, kind: "created" }));
      expect(sorted(await changesAfter(repository, latest))).toEqual(created);
    });

    it("has one for each thing that has happened, at whatever moment calls are called off", async () => {
      const repository = await create();
      const user = await createOne(repository, "ada@example.com");
      const calls: ((scope: WriteScope, index: number) => Promise<unknown>)[] = [
        (scope, index) => repository.create(drafts(3, `${index}-`), scope),
        (scope) => repository.update(user.id, changed({ age: 36 }), scope),
        async (scope, index) => {
          const { id } = await createOne(repository, `${index}@example.com`);
          await repository.delete(id, pass, scope);
        },
      ];
      for (const call of calls) await Array.fromAsync(callOffLaterAndLater(call, REASON));

      const changes = await changesAfter(repository, 0);
      const idsOfKind = (kind: ChangeKind) => changes.filter((one) => one.kind === kind).map(({ userId }) => userId);
      const { version } = await repository.get(user.id, SCOPE);
      expect(idsOfKind("updated")).toEqual(Array.from({ length: version - user.version }, () => user.id));
      const deleted = new Set(idsOfKind("deleted"));
      expect(deleted.size).toBe(idsOfKind("deleted").length);
      const there = idsOfKind("created").filter((id) => !deleted.delete(id));
      expect([...deleted], "deleted, and never created").toEqual([]);
      expect(new Set(there)).toEqual(new Set(idsOf(await everybody(repository))));
    });
  });

  describe(`${name}.changes, while many write`, () => {
    it("has every change once for a reader who goes on after the last revision, each user's in order", async () => {
      const repository = await create();
      const shared = await createOne(repository, "shared@example.com");
      const written = new Map<string, ChangeKind[]>([[shared.id, ["created"]]]);
      const write = async (writer: number) => {
        for (let round = 0; round < ROUNDS; round++) {
          const pair = idsOf(await repository.create(drafts(2, `${writer}-${round}-`), SCOPE));
          for (const id of pair) written.set(id, ["created"]);
          for (const id of [...pair, shared.id]) {
            await repository.update(id, changed({}), SCOPE);
            written.get(id)?.push("updated");
          }
          await repository.delete(pair[0] ?? "", pass, SCOPE);
          written.get(pair[0] ?? "")?.push("deleted");
        }
      };

      const read: Change[] = [];
      for await (const _ of during(Array.from({ length: 5 }, (_, writer) => write(writer)))) {
        read.push(...(await repository.changes.list({ after: read.at(-1)?.revision ?? 0, limit: 5 }, SCOPE)));
      }
      read.push(...(await changesAfter(repository, read.at(-1)?.revision ?? 0)));

      expect(read).toEqual(await changesAfter(repository, 0));
      const perUser = Map.groupBy(read, ({ userId }) => userId);
      const kinds = [...perUser].map(([userId, changes]) => [userId, changes.map(({ kind }) => kind)] as const);
      expect(new Map(kinds)).toEqual(written);
    });

    it("has a change from the instant at which it can be seen, and not before", async () => {
      const repository = await create();
      const { id } = await createOne(repository, "ada@example.com");
      const write = async () => {
        for (let round = 0; round < ROUNDS; round++) await repository.update(id, changed({}), SCOPE);
      };
      for await (const _ of during(Array.from({ length: 4 }, write))) {
        const before = await changesAfter(repository, 0);
        const { version } = await repository.get(id, SCOPE);
        const after = await changesAfter(repository, 0);
        expect(version).toBeGreaterThanOrEqual(before.length);
        expect(version).toBeLessThanOrEqual(after.length);
      }
      expect(await changesAfter(repository, 0)).toHaveLength(1 + 4 * ROUNDS);
    });
  });
}

/** Goes on until all of this is done, and fails if some of it does. */
async function* during(work: readonly Promise<void>[]): AsyncGenerator<void> {
  let done = false;
  const all = Promise.all(work).finally(() => {
    done = true;
  });
  all.catch(() => {});
  while (!done) yield;
  await all;
}
