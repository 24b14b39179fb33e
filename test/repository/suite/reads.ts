import { describe, expect, it } from "vitest";
import { UserNotFoundError } from "../../../src/domain/errors.ts";
import type { User } from "../../../src/domain/user.ts";
import type { UserRepository } from "../../../src/repository/user-repository.ts";
import { changed, createOne, drafts, errorOf, everybody, idsOf, SCOPE } from "./drafts.ts";

/** What a repository promises to those who read. */
export function readsContract(name: string, create: () => Promise<UserRepository>): void {
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
        const error = await errorOf(repository.get(id, SCOPE));
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

  describe(`${name}.getMany`, () => {
    it("reads users in the order of the ids", async () => {
      const repository = await create();
      const [first, second, third] = await repository.create(drafts(3), SCOPE);
      const ids = [third?.id ?? "", first?.id ?? "", second?.id ?? ""];
      expect(await repository.getMany(ids, SCOPE)).toEqual([third, first, second]);
    });

    it("reads a user as often as the id occurs", async () => {
      const repository = await create();
      const [first, second] = await repository.create(drafts(2), SCOPE);
      const ids = [first?.id ?? "", second?.id ?? "", first?.id ?? "", first?.id ?? ""];
      expect(await repository.getMany(ids, SCOPE)).toEqual([first, second, first, first]);
    });

    it("reads undefined for each id that is no user's", async () => {
      const repository = await create();
      const { id } = await createOne(repository, "ada@example.com");
      const ids = ["", "no such id", id, id.toUpperCase(), "\u0000", "no such id"];
      const found = await repository.getMany(ids, SCOPE);
      expect(found).toHaveLength(ids.length);
      expect(found.map((user) => user?.id)).toEqual([undefined, undefined, id, undefined, undefined, undefined]);
    });

    it("reads nobody for no ids", async () => {
      const repository = await create();
      await repository.create(drafts(2), SCOPE);
      expect(await repository.getMany([], SCOPE)).toEqual([]);
    });

    it("reads as many users as one call may ask for", async () => {
      const repository = await create();
      const created = (await repository.create(drafts(1000), SCOPE)).reverse();
      expect(await repository.getMany(idsOf(created), SCOPE)).toEqual(created);
    });

    it("reads every user once while they are being changed", async () => {
      const repository = await create();
      const ids = idsOf(await repository.create(drafts(50), SCOPE));
      const changes = ids.map((id) => repository.update(id, changed({ age: 1 }), SCOPE));
      const reads = Array.from({ length: 20 }, () => repository.getMany(ids, SCOPE));
      for (const users of await Promise.all(reads)) expect(users.map((user) => user?.id)).toEqual(ids);
      await Promise.all(changes);
      for (const user of await repository.getMany(ids, SCOPE)) expect(user?.age).toBe(1);
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

  describe(`${name}.isSuspended`, () => {
    it("is true for a user who is suspended, and for no other", async () => {
      const repository = await create();
      const suspended = await createOne(repository, "suspended@example.com", { status: "suspended" });
      const active = await createOne(repository, "active@example.com");
      expect(await repository.isSuspended(suspended.id)).toBe(true);
      expect(await repository.isSuspended(active.id)).toBe(false);
      expect(await repository.isSuspended(suspended.id.toUpperCase())).toBe(false);
    });

    it.each(["", "no such id", "\u0000", "x".repeat(10_000)])("is false when no user has the id %j", async (id) => {
      const repository = await create();
      await createOne(repository, "suspended@example.com", { status: "suspended" });
      expect(await repository.isSuspended(id)).toBe(false);
    });

    it("follows every change of the status", async () => {
      const repository = await create();
      const { id } = await createOne(repository, "ada@example.com");
      for (const status of ["suspended", "active", "suspended"] as const) {
        await repository.update(id, changed({ status }), SCOPE);
        expect(await repository.isSuspended(id)).toBe(status === "suspended");
      }
    });
  });
}
