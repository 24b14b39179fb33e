import { describe, expect, it, vi } from "vitest";
import { UserNotFoundError } from "../../../src/domain/errors.ts";
import type { User } from "../../../src/domain/user.ts";
import type { UserRepository } from "../../../src/repository/user-repository.ts";
import { changed, createOne, drafts, errorOf, everybody, idsOf, outcomesOf, SCOPE, scopeOf } from "./drafts.ts";

/** The check that lets every deletion pass. */
function pass(): void {}

/** What a repository promises to those who delete users. */
export function deletionsContract(name: string, create: () => Promise<UserRepository>): void {
  describe(`${name}.delete`, () => {
    it("deletes the user from everything that reads", async () => {
      const repository = await create();
      const { id } = await createOne(repository, "ada@example.com", { status: "suspended" });
      const bob = await createOne(repository, "bob@example.com");
      expect(await repository.delete(id, pass, SCOPE)).toBeUndefined();

      await expect(repository.get(id, SCOPE)).rejects.toThrow(UserNotFoundError);
      expect(await repository.getMany([id, bob.id], SCOPE)).toEqual([undefined, bob]);
      expect(await everybody(repository)).toEqual([bob]);
      expect(await repository.isSuspended(id)).toBe(false);
      await expect(repository.update(id, () => undefined, SCOPE)).rejects.toThrow(UserNotFoundError);
    });

    it("frees the e-mail address and the username at once", async () => {
      const repository = await create();
      const { id } = await createOne(repository, "ada@example.com", { username: "ada" });
      await repository.delete(id, pass, SCOPE);
      const again = await createOne(repository, "ADA@example.com", { username: "ADA" });
      expect(await everybody(repository)).toEqual([again]);
      expect(again.id > id, "the id is another").toBe(true);
    });

    it("frees the keys that the user has, and not those that the user had", async () => {
      const repository = await create();
      const { id } = await createOne(repository, "old@example.com", { username: "old" });
      await repository.update(id, changed({ email: "new@example.com", username: "new" }), SCOPE);
      const other = await createOne(repository, "old@example.com", { username: "old" });
      await repository.delete(id, pass, SCOPE);

      await expect(createOne(repository, "old@example.com")).rejects.toMatchObject({ field: "email" });
      const creation = createOne(repository, "x@example.com", { username: "old" });
      await expect(creation).rejects.toMatchObject({ field: "username" });
      const again = await createOne(repository, "new@example.com", { username: "new" });
      expect(await everybody(repository)).toEqual([other, again]);
    });

    it("shows the check the user as they are now", async () => {
      const repository = await create();
      const { id } = await createOne(repository, "ada@example.com");
      const updated = await repository.update(id, changed({ age: 36 }), SCOPE);
      const check = vi.fn(pass);
      await repository.delete(id, check, SCOPE);
      expect(check).toHaveBeenLastCalledWith(updated);
    });

    it("fails with what the check throws, and leaves the user", async () => {
      const repository = await create();
      const user = await createOne(repository, "ada@example.com", { username: "ada" });
      const reason = new Error("no");
      const check = () => {
        throw reason;
      };
      expect(await errorOf(repository.delete(user.id, check, SCOPE))).toBe(reason);
      expect(await everybody(repository)).toEqual([user]);
      expect(await repository.get(user.id, SCOPE)).toEqual(user);
      await expect(createOne(repository, "ada@example.com")).rejects.toMatchObject({ field: "email" });
      const creation = createOne(repository, "x@example.com", { username: "ada" });
      await expect(creation).rejects.toMatchObject({ field: "username" });
    });

    it.each(["", "no such id", "\u0000", "x".repeat(10_000)])(
      "fails with the id when no user has the id %j, and asks nothing",
      async (id) => {
        const repository = await create();
        const user = await createOne(repository, "ada@example.com");
        const check = vi.fn(pass);
        const error = await errorOf(repository.delete(id, check, SCOPE));
        expect(error).toBeInstanceOf(UserNotFoundError);
        expect(error).toMatchObject({ id });
        expect(check).not.toHaveBeenCalled();
        expect(await everybody(repository)).toEqual([user]);
      },
    );

    it("fails when the user has been deleted before", async () => {
      const repository = await create();
      const { id } = await createOne(repository, "ada@example.com");
      await repository.delete(id, pass, SCOPE);
      expect(await errorOf(repository.delete(id, pass, SCOPE))).toMatchObject({ name: "UserNotFoundError", id });
    });

    it("deletes a user once, however many race for it", async () => {
      const repository = await create();
      const { id } = await createOne(repository, "ada@example.com");
      const { results, errors } = await outcomesOf(
        Array.from({ length: 50 }, () => repository.delete(id, pass, SCOPE)),
      );
      expect(results).toHaveLength(1);
      for (const error of errors) expect(error).toBeInstanceOf(UserNotFoundError);
    });

    it("never lets a change that races with it bring the user back", async () => {
      const repository = await create();
      for (const { id } of await repository.create(drafts(20), SCOPE)) {
        const update = () => repository.update(id, changed({ age: 36 }), SCOPE);
        const { errors } = await outcomesOf<unknown>([update(), repository.delete(id, pass, SCOPE), update()]);
        for (const error of errors) expect(error).toBeInstanceOf(UserNotFoundError);
      }
      expect(await everybody(repository)).toEqual([]);
    });

    it("leaves everybody else as they are, wherever in the list the user was", async () => {
      const repository = await create();
      const users = await repository.create(drafts(7), SCOPE);
      for (const index of [3, 0, 4, 1]) {
        const [{ id = "" } = {}] = users.splice(index, 1);
        await repository.delete(id, pass, SCOPE);
        expect(await everybody(repository)).toEqual(users);
        expect(await repository.getMany(idsOf(users), SCOPE)).toEqual(users);
        for (const user of users) expect(await repository.get(user.id, SCOPE)).toEqual(user);
      }
    });

    it("assigns greater ids to those who are created afterwards", async () => {
      const repository = await create();
      const users = await repository.create(drafts(3), SCOPE);
      for (const { id } of users) await repository.delete(id, pass, SCOPE);
      const later = await createOne(repository, "ada@example.com");
      for (const { id } of users) {
        expect(later.id > id).toBe(true);
      }
    });
  });

  describe(`${name}.delete, between two pages`, () => {
    it("neither repeats nor skips another user", async () => {
      const repository = await create();
      let after: string | undefined;
      for (let deleted = 0; deleted < 6; deleted++) {
        const users = await repository.create(drafts(6, `round${deleted}-`), SCOPE);
        const first = await repository.list({ after, limit: 3 }, SCOPE);
        await repository.delete(users[deleted]?.id ?? "", pass, SCOPE);
        const rest = await repository.list({ after: first.at(-1)?.id, limit: 10 }, SCOPE);
        const expected = users.slice(3).filter((_, index) => index + 3 !== deleted);
        expect(rest, `user ${deleted} deleted`).toEqual(expected);
        after = users.at(-1)?.id;
      }
    });

    it("neither repeats nor skips the others when a user of each page is deleted, and new ones are created", async () => {
      const repository = await create();
      const users = await repository.create(drafts(9), SCOPE);
      const read: User[] = [];
      for (let page = 0; page < 3; page++) {
        const found = await repository.list({ after: read.at(-1)?.id, limit: 3 }, SCOPE);
        read.push(...found);
        await repository.delete(found.at(-1)?.id ?? "", pass, SCOPE);
        await createOne(repository, `page${page}@example.com`);
      }
      expect(read).toEqual(users);
    });
  });

  describe(`${name}.delete, when it is called off`, () => {
    const reason = new Error("called off");

    it("fails with the signal's reason, and leaves the user", async () => {
      const repository = await create();
      const user = await createOne(repository, "ada@example.com");
      const deletion = repository.delete(user.id, pass, scopeOf({ signal: AbortSignal.abort(reason) }));
      expect(await errorOf(deletion)).toBe(reason);
      expect(await everybody(repository)).toEqual([user]);
    });

    it("fails with the signal's reason even if there is no such user", async () => {
      const repository = await create();
      const deletion = repository.delete("no such id", pass, scopeOf({ signal: AbortSignal.abort(reason) }));
      expect(await errorOf(deletion)).toBe(reason);
    });

    it("looks at the signal again after the check", async () => {
      const repository = await create();
      const user = await createOne(repository, "ada@example.com");
      const controller = new AbortController();
      const deletion = repository.delete(user.id, () => controller.abort(reason), scopeOf(controller));
      expect(await errorOf(deletion)).toBe(reason);
      expect(await everybody(repository)).toEqual([user]);
      await expect(createOne(repository, "ada@example.com")).rejects.toMatchObject({ field: "email" });
    });
  });
}
