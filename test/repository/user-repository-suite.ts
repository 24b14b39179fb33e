import { setImmediate } from "node:timers/promises";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { EmailTakenError, UserNotFoundError } from "../../src/domain/errors.ts";
import { draftUser, type User, type UserDraft } from "../../src/domain/user.ts";
import type { Cancellable, UserRepository } from "../../src/repository/user-repository.ts";

/** A call that nobody calls off. */
const SCOPE: Cancellable = { signal: new AbortController().signal };

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Texts that a store could be tempted to change or to refuse. */
const ODD_TEXTS = ["  two  spaces  ", "O'Brien; --", "\\N", "e\u0301", "\u00e9", "😀", "\u202e"];

function draft(email: string, name = "a name"): UserDraft {
  return draftUser({ email, name });
}

/** `count` drafts, none like another. */
function drafts(count: number, prefix = "user"): UserDraft[] {
  return Array.from({ length: count }, (_, index) => draft(`${prefix}${index}@example.com`, `${prefix} ${index}`));
}

function idsOf(users: readonly User[]): string[] {
  return users.map(({ id }) => id);
}

function isAscending(ids: readonly string[]): boolean {
  return ids.every((id, index) => index === 0 || id > (ids[index - 1] ?? id));
}

function everybody(repository: UserRepository): Promise<User[]> {
  return repository.list({ after: undefined, limit: 1_000_000 }, SCOPE);
}

async function createOne(repository: UserRepository, email: string): Promise<User> {
  const [user] = await repository.create([draft(email)], SCOPE);
  return user ?? expect.fail("no user was created");
}

/** The index of the draft for which a creation was refused. */
async function refusedIndex(creation: Promise<unknown>): Promise<number> {
  const error = await creation.then(
    () => expect.fail("the users were created"),
    (reason: unknown) => reason,
  );
  return error instanceof EmailTakenError ? error.index : expect.fail(`refused with ${error}`);
}

/**
 * Holds an adapter to the contract of UserRepository: one test per promise. `create` makes an empty repository, and
 * releases what it holds by itself after the test.
 */
export function userRepositoryContract(name: string, create: () => Promise<UserRepository>): void {
  describe(`${name}.get`, () => {
    it("reads every user as they were created", async () => {
      const repository = await create();
      const created = await repository.create(drafts(3), SCOPE);
      for (const user of created) expect(await repository.get(user.id, SCOPE)).toEqual(user);
    });

    it("reads a user as soon as they are created", async () => {
      const repository = await create();
      for (const one of drafts(20)) {
        const [user] = await repository.create([one], SCOPE);
        expect(await repository.get(user?.id ?? "", SCOPE)).toEqual(user);
      }
    });

    it.each(["", "no such id", "018f0000-0000-7000-8000-000000000000", "☃", "\u0000", "x".repeat(10_000)])(
      "fails with the id when no user has the id %j",
      async (id) => {
        const repository = await create();
        await repository.create(drafts(1), SCOPE);
        const error = await repository.get(id, SCOPE).catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(UserNotFoundError);
        expect(error).toMatchObject({ id });
      },
    );

    it("fails when the id differs from a user's in its case", async () => {
      const repository = await create();
      const { id } = await createOne(repository, "ada@example.com");
      const upper = id.toUpperCase();
      expect(upper).not.toBe(id);
      await expect(repository.get(upper, SCOPE)).rejects.toThrow(UserNotFoundError);
    });
  });

  describe(`${name}.list`, () => {
    it("reads nobody from an empty repository", async () => {
      expect(await everybody(await create())).toEqual([]);
    });

    it("reads the first users, in ascending order of id", async () => {
      const repository = await create();
      const created = await repository.create(drafts(5), SCOPE);
      expect(await repository.list({ after: undefined, limit: 3 }, SCOPE)).toEqual(created.slice(0, 3));
      expect(await everybody(repository)).toEqual(created);
    });

    it("reads nobody when the limit is 0", async () => {
      const repository = await create();
      await repository.create(drafts(2), SCOPE);
      expect(await repository.list({ after: undefined, limit: 0 }, SCOPE)).toEqual([]);
    });

    it("reads the users whose ids are greater", async () => {
      const repository = await create();
      const created = await repository.create(drafts(5), SCOPE);
      for (const [index, { id }] of created.entries()) {
        expect(await repository.list({ after: id, limit: 2 }, SCOPE)).toEqual(created.slice(index + 1, index + 3));
      }
    });

    it("goes on from an id that is no user's", async () => {
      const repository = await create();
      const created = await repository.create(drafts(3), SCOPE);
      const id = created[1]?.id ?? "";
      const idsAfter = async (text: string) => idsOf(await repository.list({ after: text, limit: 9 }, SCOPE));

      expect(await idsAfter(id.slice(0, -1)), "just before the second").toEqual(idsOf(created.slice(1)));
      expect(await idsAfter(`${id}0`), "just after the second").toEqual(idsOf(created.slice(2)));
      expect(await idsAfter(""), "before all").toEqual(idsOf(created));
      expect(await idsAfter("00000000-0000-7000-8000-000000000000"), "before all").toEqual(idsOf(created));
      expect(await idsAfter("ffffffff-ffff-7fff-bfff-ffffffffffff"), "after all").toEqual([]);
      expect(await idsAfter("not an id"), "after all").toEqual([]);
    });

    it("reads everybody once, in pages of any size", async () => {
      const repository = await create();
      const created = await repository.create(drafts(7), SCOPE);
      for (let limit = 1; limit <= 8; limit++) {
        const read: User[] = [];
        let page: User[];
        do {
          page = await repository.list({ after: read.at(-1)?.id, limit }, SCOPE);
          read.push(...page);
        } while (page.length === limit);
        expect(read, `pages of ${limit}`).toEqual(created);
      }
    });

    it("neither repeats nor skips a user when others are created between two pages", async () => {
      const repository = await create();
      const created = await repository.create(drafts(6), SCOPE);
      const read: User[] = [];
      for (let page = 0; page < 3; page++) {
        read.push(...(await repository.list({ after: read.at(-1)?.id, limit: 2 }, SCOPE)));
        await repository.create(drafts(2, `page${page}-`), SCOPE);
      }
      expect(read).toEqual(created);
    });

    it("sees all users of a creation or none", async () => {
      const repository = await create();
      const creation = repository.create(drafts(100), SCOPE);
      const lists = Array.from({ length: 20 }, () => everybody(repository));
      for (const list of await Promise.all(lists)) expect([0, 100]).toContain(list.length);
      await creation;
      expect(await everybody(repository)).toHaveLength(100);
    });

    it("leaves the array to the caller", async () => {
      const repository = await create();
      const created = await repository.create(drafts(3), SCOPE);
      const expected = [...created];
      (await everybody(repository)).reverse().pop();
      created.pop();
      expect(await everybody(repository)).toEqual(expected);
    });
  });

  describe(`${name}.create`, () => {
    it("creates a user from each draft, in order", async () => {
      const repository = await create();
      const batch = [draft("b@example.com", "B"), { ...draft("a@example.com", "A"), role: "admin" as const }];
      const users = await repository.create(batch, SCOPE);
      expect(users).toEqual([
        {
          id: expect.stringMatching(UUID_V7),
          email: "b@example.com",
          name: "B",
          role: "user",
          createdAt: expect.any(Number),
        },
        {
          id: expect.stringMatching(UUID_V7),
          email: "a@example.com",
          name: "A",
          role: "admin",
          createdAt: expect.any(Number),
        },
      ]);
      expect(await everybody(repository)).toEqual(users);
    });

    it("creates nobody from no drafts", async () => {
      const repository = await create();
      expect(await repository.create([], SCOPE)).toEqual([]);
      expect(await everybody(repository)).toEqual([]);
    });

    it("keeps e-mail addresses and names exactly as they were given", async () => {
      const repository = await create();
      const batch = [draft("  Ada+Tag@Example.COM\n"), draft("e\u0301ve@BÜCHER.example")];
      batch.push(...ODD_TEXTS.map((text, index) => draft(`odd${index}@example.com`, text)));
      await repository.create(batch, SCOPE);
      const kept = await everybody(repository);
      expect(kept.map(({ email }) => email)).toEqual(batch.map(({ email }) => email.given));
      expect(kept.map(({ name: text }) => text)).toEqual(batch.map(({ name: text }) => text));
    });

    it("creates as many users as one call may bring", async () => {
      const repository = await create();
      const users = await repository.create(drafts(10_000), SCOPE);
      const ids = idsOf(users);
      expect(isAscending(ids)).toBe(true);
      expect(users.map(({ email }) => email)).toEqual(drafts(10_000).map(({ email }) => email.given));
      expect(idsOf(await everybody(repository))).toEqual(ids);
    });

    it("assigns ids that ascend from call to call, and from repository to repository", async () => {
      const repositories = [await create(), await create()];
      const ids: string[] = [];
      for (let call = 0; call < 20; call++) {
        for (const repository of repositories)
          ids.push(...idsOf(await repository.create(drafts(3, `call${call}-`), SCOPE)));
      }
      expect(isAscending(ids)).toBe(true);
    });

    it("assigns ids that ascend when the clock is set back", async () => {
      const repository = await create();
      const earlier = await createOne(repository, "earlier@example.com");
      const clock = vi.spyOn(Date, "now").mockReturnValue(Date.now() - 3_600_000);
      onTestFinished(() => clock.mockRestore());
      const later = await createOne(repository, "later@example.com");
      expect(later.id > earlier.id).toBe(true);
      expect(await everybody(repository)).toEqual([earlier, later]);
    });

    it("assigns the time of creation, in whole milliseconds", async () => {
      const repository = await create();
      const before = Date.now();
      const { createdAt } = await createOne(repository, "ada@example.com");
      expect(Number.isInteger(createdAt)).toBe(true);
      expect(createdAt).toBeGreaterThanOrEqual(before);
      expect(createdAt).toBeLessThanOrEqual(Date.now());
    });

    it("leaves users as they are, whatever happens to others", async () => {
      const repository = await create();
      const [first, second] = await repository.create(drafts(2), SCOPE);
      const copies = structuredClone([first, second]);
      await repository.create(drafts(50, "other"), SCOPE);
      await repository.create([draft("user0@example.com", "another name")], SCOPE).catch(() => undefined);
      expect([first, second]).toEqual(copies);
      expect((await everybody(repository)).slice(0, 2)).toEqual(copies);
    });

    it("takes no notice of what becomes of the drafts", async () => {
      const repository = await create();
      const batch = [{ ...draft("ada@example.com", "Ada") }, { ...draft("bob@example.com", "Bob") }];
      const creation = repository.create(batch, SCOPE);
      const users = await creation;
      for (const one of batch) Object.assign(one, draft("eve@example.com", "Eve"));
      batch.reverse();
      expect(await everybody(repository)).toEqual(users);
      expect(users.map(({ name: text }) => text)).toEqual(["Ada", "Bob"]);
    });
  });

  describe(`${name}.create, when an e-mail address is taken`, () => {
    const taken = ["taken@example.com", "taken-too@example.com"] as const;

    it.each([
      { when: "a user has it", emails: ["new@example.com", taken[0]], index: 1 },
      { when: "a user has it in another form", emails: [" TAKEN@EXAMPLE.com "], index: 0 },
      { when: "an earlier draft has it", emails: ["a@example.com", "b@example.com", "a@example.com"], index: 2 },
      {
        when: "an earlier draft has it in another form",
        emails: ["e\u0301@b\u00fccher.example", "\u00c9@xn--bcher-kva.example"],
        index: 1,
      },
      { when: "two users have two of them", emails: ["new@example.com", taken[1], taken[0]], index: 1 },
      {
        when: "a user has one, an earlier draft a later one",
        emails: ["a@example.com", taken[0], "a@example.com"],
        index: 1,
      },
      {
        when: "an earlier draft has one, a user a later one",
        emails: ["a@example.com", "a@example.com", taken[0]],
        index: 1,
      },
      { when: "it occurs three times", emails: ["a@example.com", "a@example.com", "a@example.com"], index: 1 },
    ])("fails with the lowest index, and creates nobody, when $when", async ({ emails, index }) => {
      const repository = await create();
      const before = await repository.create(
        taken.map((email) => draft(email)),
        SCOPE,
      );
      const batch = emails.map((email) => draft(email));
      expect(await refusedIndex(repository.create(batch, SCOPE))).toBe(index);
      expect(await everybody(repository)).toEqual(before);
    });

    it("leaves the other addresses of the batch free", async () => {
      const repository = await create();
      await createOne(repository, "taken@example.com");
      const free = drafts(3);
      await refusedIndex(repository.create([...free, draft("taken@example.com")], SCOPE));
      const users = await repository.create(free, SCOPE);
      expect(users.map(({ email }) => email)).toEqual(free.map(({ email }) => email.given));
    });

    it("lets exactly one of two hundred racing calls succeed", async () => {
      const repository = await create();
      const forms = ["race@example.com", "RACE@example.com", " race@EXAMPLE.com"];
      const calls = Array.from({ length: 200 }, (_, index) =>
        repository.create([draft(forms[index % forms.length] ?? "")], SCOPE),
      );
      const settled = await Promise.allSettled(calls);
      const winners = settled.flatMap((result) => (result.status === "fulfilled" ? result.value : []));
      expect(winners).toHaveLength(1);
      expect(await everybody(repository)).toEqual(winners);
      for (const result of settled) {
        if (result.status === "rejected") expect(result.reason).toMatchObject({ name: "EmailTakenError", index: 0 });
      }
    });

    it("lets one of racing batches succeed as a whole, when each has the others' addresses in another order", async () => {
      const repository = await create();
      const batch = drafts(20);
      const calls = Array.from({ length: 20 }, (_, turn) =>
        repository.create([...batch.slice(turn), ...batch.slice(0, turn)], SCOPE),
      );
      const settled = await Promise.allSettled(calls);
      const winners = settled.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
      expect(winners).toHaveLength(1);
      expect(await everybody(repository)).toEqual(winners[0]);
      for (const result of settled) {
        if (result.status === "rejected") expect(result.reason).toMatchObject({ name: "EmailTakenError", index: 0 });
      }
    });
  });

  describe(`${name}.create, when it is called off`, () => {
    it("fails with the signal's reason, and creates nobody", async () => {
      const repository = await create();
      const reason = new Error("called off");
      await expect(repository.create(drafts(3), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      expect(await everybody(repository)).toEqual([]);
    });

    it("leaves the addresses free", async () => {
      const repository = await create();
      const signal = AbortSignal.abort(new Error("called off"));
      await expect(repository.create(drafts(3), { signal })).rejects.toThrow("called off");
      expect(await repository.create(drafts(3), SCOPE)).toHaveLength(3);
    });

    it("fails with the signal's reason even if an e-mail address is taken", async () => {
      const repository = await create();
      await createOne(repository, "ada@example.com");
      const reason = new Error("called off");
      const creation = repository.create([draft("ada@example.com")], { signal: AbortSignal.abort(reason) });
      await expect(creation).rejects.toBe(reason);
    });

    it("looks at the signal again before the users become visible", async () => {
      const repository = await create();
      const controller = new AbortController();
      const reason = new Error("called off");
      const { email, ...rest } = draft("ada@example.com");
      const aborting: UserDraft = {
        ...rest,
        get email() {
          controller.abort(reason);
          return email;
        },
      };
      await expect(repository.create([aborting], controller)).rejects.toBe(reason);
      expect(await everybody(repository)).toEqual([]);
    });

    it("creates everybody or nobody, and never later, at whatever moment that is", async () => {
      const repository = await create();
      const reason = new Error("called off");
      const expected: User[] = [];
      for (let turns = 0; turns < 20; turns++) {
        const controller = new AbortController();
        const creation = repository.create(drafts(5, `turn${turns}-`), controller);
        for (let turn = 0; turn < turns; turn++) await setImmediate();
        controller.abort(reason);
        const [result] = await Promise.allSettled([creation]);
        if (result.status === "fulfilled") expected.push(...result.value);
        else expect(result.reason).toBe(reason);
        expect(await everybody(repository)).toEqual(expected);
      }
      await setImmediate();
      expect(await everybody(repository)).toEqual(expected);
    });

    it("keeps the users when the signal is aborted after their creation", async () => {
      const repository = await create();
      const controller = new AbortController();
      const users = await repository.create(drafts(3), controller);
      controller.abort();
      await setImmediate();
      expect(await everybody(repository)).toEqual(users);
    });
  });
}
