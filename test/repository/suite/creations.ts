import { setImmediate } from "node:timers/promises";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { BLANK_USER, draftUser, fieldsOf, type User, type UserDraft } from "../../../src/domain/user.ts";
import type { WriteScope } from "../../../src/repository/scope.ts";
import type { UserRepository } from "../../../src/repository/user-repository.ts";
import {
  callOffLaterAndLater,
  createOne,
  draft,
  drafts,
  everybody,
  FULL_USER,
  idsOf,
  ODD_TEXTS,
  SCOPE,
  scopeOf,
} from "./drafts.ts";

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

function isAscending(ids: readonly string[]): boolean {
  return ids.every((id, index) => index === 0 || id > (ids[index - 1] ?? id));
}

/** What a repository promises to those who create users. */
export function creationsContract(name: string, create: () => Promise<UserRepository>): void {
  describe(`${name}.create`, () => {
    it("creates a user from each draft, in order", async () => {
      const repository = await create();
      const users = await repository.create([draft("b@example.com", { name: "B" }), draftUser(FULL_USER)], SCOPE);
      const assigned = {
        id: expect.stringMatching(UUID_V7),
        createdAt: expect.any(Number),
        updatedAt: expect.any(Number),
        version: 1,
      };
      expect(users).toEqual([
        { ...BLANK_USER, ...assigned, email: "b@example.com", name: "B" },
        { ...FULL_USER, ...assigned },
      ]);
      expect(await everybody(repository)).toEqual(users);
    });

    it("keeps the fields of a user, and nothing else of what it is given", async () => {
      const repository = await create();
      const more = { ...draftUser(FULL_USER), id: "chosen", createdAt: 1, version: 7, color: "blue" };
      const [user] = await repository.create([more], SCOPE);
      const { id, createdAt, updatedAt, version, ...rest } = user ?? expect.fail("no user was created");
      expect(rest).toEqual(FULL_USER);
      expect(id).toMatch(UUID_V7);
      expect([createdAt, updatedAt]).not.toContain(1);
      expect(version).toBe(1);
    });

    it("creates nobody from no drafts", async () => {
      const repository = await create();
      expect(await repository.create([], SCOPE)).toEqual([]);
      expect(await everybody(repository)).toEqual([]);
    });

    it("keeps e-mail addresses and names exactly as they were given", async () => {
      const repository = await create();
      const batch = [draft("  Ada+Tag@Example.COM\n"), draft("e\u0301ve@BÜCHER.example")];
      batch.push(...ODD_TEXTS.map((text, index) => draft(`odd${index}@example.com`, { name: text })));
      await repository.create(batch, SCOPE);
      const kept = await everybody(repository);
      expect(kept.map(({ email }) => email)).toEqual(batch.map(({ email }) => email));
      expect(kept.map(({ name: text }) => text)).toEqual(batch.map(({ name: text }) => text));
    });

    it("keeps every other text exactly as it was given, in the order given", async () => {
      const repository = await create();
      const texts = [...ODD_TEXTS, "", "\r\n\t", "x".repeat(16_384)];
      const batch = texts.map((text, index) =>
        draft(`odd${index}@example.com`, {
          username: `Odd.User-${index}`,
          tags: [text, "b", "a"],
          metadata: [
            ["a", text],
            ["aa", ""],
            ["b", "null"],
          ],
          contact: { kind: "phone", value: "+441234567" },
          profile: { bio: text, avatarUrl: "" },
        }),
      );
      await repository.create(batch, SCOPE);
      expect((await everybody(repository)).map(fieldsOf)).toEqual(batch.map(fieldsOf));
    });

    it.each([undefined, 0, 150])("keeps the age %j", async (age) => {
      const repository = await create();
      const { id } = await createOne(repository, "ada@example.com", { age });
      expect((await repository.get(id, SCOPE)).age).toBe(age);
    });

    it("creates as many users as one call may bring", async () => {
      const repository = await create();
      const users = await repository.create(drafts(10_000), SCOPE);
      const ids = idsOf(users);
      expect(isAscending(ids)).toBe(true);
      expect(users.map(({ email }) => email)).toEqual(drafts(10_000).map(({ email }) => email));
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

    it("takes the time of creation for that of the last change", async () => {
      const repository = await create();
      for (const { createdAt, updatedAt } of await repository.create(drafts(3), SCOPE)) {
        expect(updatedAt).toBe(createdAt);
      }
    });

    it("leaves users as they are, whatever happens to others", async () => {
      const repository = await create();
      const [first, second] = await repository.create(drafts(2), SCOPE);
      const copies = structuredClone([first, second]);
      await repository.create(drafts(50, "other"), SCOPE);
      await repository.create([draft("user0@example.com", { name: "another name" })], SCOPE).catch(() => undefined);
      expect([first, second]).toEqual(copies);
      expect((await everybody(repository)).slice(0, 2)).toEqual(copies);
    });

    it("takes no notice of what becomes of the drafts", async () => {
      const repository = await create();
      const batch = ["Ada", "Bob"].map((text) => draft(`${text}@example.com`, { name: text }));
      const users = await repository.create(batch, SCOPE);
      for (const one of batch) Object.assign(one, draft("eve@example.com", { name: "Eve" }));
      batch.reverse();
      expect(await everybody(repository)).toEqual(users);
      expect(users.map(({ name: text }) => text)).toEqual(["Ada", "Bob"]);
    });
  });

  describe(`${name}.create, when it is called off`, () => {
    it("fails with the signal's reason, and creates nobody", async () => {
      const repository = await create();
      const reason = new Error("called off");
      await expect(repository.create(drafts(3), scopeOf({ signal: AbortSignal.abort(reason) }))).rejects.toBe(reason);
      expect(await everybody(repository)).toEqual([]);
    });

    it("leaves the addresses free", async () => {
      const repository = await create();
      const signal = AbortSignal.abort(new Error("called off"));
      await expect(repository.create(drafts(3), scopeOf({ signal }))).rejects.toThrow("called off");
      expect(await repository.create(drafts(3), SCOPE)).toHaveLength(3);
    });

    it("fails with the signal's reason even if an e-mail address is taken", async () => {
      const repository = await create();
      await createOne(repository, "ada@example.com");
      const reason = new Error("called off");
      const creation = repository.create([draft("ada@example.com")], scopeOf({ signal: AbortSignal.abort(reason) }));
      await expect(creation).rejects.toBe(reason);
    });

    it("looks at the signal again before the users become visible", async () => {
      const repository = await create();
      const controller = new AbortController();
      const reason = new Error("called off");
      const { emailKey, ...rest } = draft("ada@example.com");
      const aborting: UserDraft = {
        ...rest,
        get emailKey() {
          controller.abort(reason);
          return emailKey;
        },
      };
      await expect(repository.create([aborting], scopeOf(controller))).rejects.toBe(reason);
      expect(await everybody(repository)).toEqual([]);
    });

    it("creates everybody or nobody, and never later, at whatever moment that is", async () => {
      const repository = await create();
      const reason = new Error("called off");
      const expected: User[] = [];
      const creation = (scope: WriteScope, index: number) => repository.create(drafts(5, `${index}-`), scope);
      for await (const outcome of callOffLaterAndLater(creation, reason)) {
        if (outcome.status === "fulfilled") expected.push(...outcome.value);
        else expect(outcome.reason).toBe(reason);
        expect(await everybody(repository)).toEqual(expected);
      }
      await setImmediate();
      expect(await everybody(repository)).toEqual(expected);
    });

    it("keeps the users when the signal is aborted after their creation", async () => {
      const repository = await create();
      const controller = new AbortController();
      const users = await repository.create(drafts(3), scopeOf(controller));
      controller.abort();
      await setImmediate();
      expect(await everybody(repository)).toEqual(users);
    });
  });
}
