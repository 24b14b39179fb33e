import { describe, expect, it, onTestFinished, vi } from "vitest";
import { TakenError, UserNotFoundError } from "../../../src/domain/errors.ts";
import { draftUser, fieldsOf, type User, type UserFields } from "../../../src/domain/user.ts";
import type { UserRepository } from "../../../src/repository/user-repository.ts";
import { FULL } from "../../support/full.ts";
import {
  changed,
  createOne,
  draft,
  drafts,
  errorOf,
  everybody,
  FULL_USER,
  idsOf,
  ODD_TEXTS,
  outcomesOf,
  SCOPE,
  scopeOf,
} from "./drafts.ts";

/** How many change one user at once: in the short form, more than a store has connections. */
const CHANGES = FULL ? 30 : 15;

/** Two users, each with an e-mail address and a username. */
async function createTwo(repository: UserRepository): Promise<[User, User]> {
  return [
    await createOne(repository, "ada@example.com", { username: "ada" }),
    await createOne(repository, "bob@example.com", { username: "bob" }),
  ];
}

/** What a repository promises to those who change users. */
export function updatesContract(name: string, create: () => Promise<UserRepository>): void {
  describe(`${name}.update`, () => {
    it("replaces every field by what the change makes of it", async () => {
      const repository = await create();
      const { id } = await createOne(repository, "ada@example.com");
      for (const fields of [FULL_USER, fieldsOf(draft("bob@example.com")), FULL_USER]) {
        const updated = await repository.update(id, () => draftUser(fields), SCOPE);
        expect(fieldsOf(updated)).toEqual(fields);
        expect(await repository.get(id, SCOPE)).toEqual(updated);
        expect(await repository.getMany([id], SCOPE)).toEqual([updated]);
        expect(await everybody(repository)).toEqual([updated]);
      }
    });

    it("keeps texts exactly as they were given", async () => {
      const repository = await create();
      const { id } = await createOne(repository, "ada@example.com");
      for (const text of ODD_TEXTS) {
        const fields = { name: text, tags: [text], profile: { bio: text, avatarUrl: text } };
        expect(await repository.update(id, changed(fields), SCOPE)).toMatchObject(fields);
        expect(await repository.get(id, SCOPE)).toMatchObject(fields);
      }
    });

    it("shows the change the user as they are now", async () => {
      const repository = await create();
      let expected = await createOne(repository, "ada@example.com", FULL_USER);
      const seen: User[] = [];
      for (let age = 0; age < 3; age++) {
        const change = (user: User) => {
          seen.push(user);
          return changed({ age })(user);
        };
        const updated = await repository.update(expected.id, change, SCOPE);
        expect(seen.at(-1)).toEqual(expected);
        expected = updated;
      }
    });

    it("changes nothing where the change returns undefined, and returns the user as they are", async () => {
      const repository = await create();
      const users = await createTwo(repository);
      for (const user of users) expect(await repository.update(user.id, () => undefined, SCOPE)).toEqual(user);
      expect(await everybody(repository)).toEqual(users);
    });

    it("assigns a version greater than every one before of this user", async () => {
      const repository = await create();
      const [{ id, version }] = await createTwo(repository);
      for (const latest of [version, version + 1, version + 2]) {
        expect(await repository.update(id, changed({ age: latest }), SCOPE)).toMatchObject({ version: latest + 1 });
      }
    });

    it("assigns the time of the change, in whole milliseconds", async () => {
      vi.useFakeTimers({ toFake: ["Date"] });
      onTestFinished(() => void vi.useRealTimers());
      const repository = await create();
      const { id, createdAt } = await createOne(repository, "ada@example.com");
      vi.setSystemTime(createdAt + 3_600_000);
      const updated = await repository.update(id, changed({ age: 36 }), SCOPE);
      expect(updated).toMatchObject({ createdAt, updatedAt: createdAt + 3_600_000 });
      vi.setSystemTime(createdAt + 7_200_000);
      expect(await repository.update(id, () => undefined, SCOPE)).toEqual(updated);
    });

    it("leaves the id, the time of creation, and the place in the list", async () => {
      const repository = await create();
      const users = await repository.create(drafts(5), SCOPE);
      for (const index of [2, 0, 4]) {
        const { id = "", createdAt } = users[index] ?? {};
        const updated = await repository.update(id, changed({ name: "another name" }), SCOPE);
        expect(updated).toMatchObject({ id, createdAt });
        users[index] = updated;
        expect(await everybody(repository)).toEqual(users);
        expect(await repository.list({ after: users[index - 1]?.id, limit: 1 }, SCOPE)).toEqual([updated]);
      }
    });

    it("takes only the fields from what the change returns", async () => {
      const repository = await create();
      const { id, createdAt } = await createOne(repository, "ada@example.com");
      const change = (user: User) => ({ ...changed({ age: 36 })(user), id: "chosen", createdAt: 1, color: "blue" });
      const updated = await repository.update(id, change, SCOPE);
      expect(updated).toMatchObject({ id, createdAt, age: 36 });
      expect(updated).not.toHaveProperty("color");
      expect(idsOf(await everybody(repository))).toEqual([id]);
    });

    it("leaves users who were returned before as they were", async () => {
      const repository = await create();
      const user = await createOne(repository, "ada@example.com");
      const copy = structuredClone(user);
      const list = await everybody(repository);
      await repository.update(user.id, changed({ name: "another name", age: 36 }), SCOPE);
      expect(user).toEqual(copy);
      expect(list).toEqual([copy]);
    });

    it("leaves other users as they are", async () => {
      const repository = await create();
      const [ada, bob] = await createTwo(repository);
      const copy = structuredClone(bob);
      await repository.update(ada.id, changed({ name: "another name" }), SCOPE);
      expect(await repository.get(bob.id, SCOPE)).toEqual(copy);
    });

    it.each(["", "no such id", "\u0000", "x".repeat(10_000)])(
      "fails with the id when no user has the id %j, and asks nothing",
      async (id) => {
        const repository = await create();
        const user = await createOne(repository, "ada@example.com");
        const change = vi.fn(changed({ age: 36 }));
        const error = await errorOf(repository.update(id, change, SCOPE));
        expect(error).toBeInstanceOf(UserNotFoundError);
        expect(error).toMatchObject({ id });
        expect(change).not.toHaveBeenCalled();
        expect(await everybody(repository)).toEqual([user]);
      },
    );

    it("fails with what the change throws, and changes nothing", async () => {
      const repository = await create();
      const users = await createTwo(repository);
      const reason = new Error("no");
      const change = () => {
        throw reason;
      };
      expect(await errorOf(repository.update(users[0].id, change, SCOPE))).toBe(reason);
      expect(await everybody(repository)).toEqual(users);
    });

    it("applies every one of many concurrent changes of one user", async () => {
      const repository = await create();
      const { id } = await createOne(repository, "ada@example.com", { age: 0 });
      const older = (user: User) => changed({ age: (user.age ?? 0) + 1 })(user);
      const updated = await Promise.all(Array.from({ length: CHANGES }, () => repository.update(id, older, SCOPE)));
      expect((await repository.get(id, SCOPE)).age).toBe(CHANGES);
      const ages = updated.toSorted((one, other) => one.version - other.version).map(({ age }) => age);
      expect(ages).toEqual(Array.from({ length: CHANGES }, (_, index) => index + 1));
    });
  });

  describe(`${name}.update, when a key moves`, () => {
    it("frees the old e-mail address, and takes the new one", async () => {
      const repository = await create();
      const [ada] = await createTwo(repository);
      await repository.update(ada.id, changed({ email: "Lovelace@example.com" }), SCOPE);
      await expect(createOne(repository, "lovelace@EXAMPLE.com")).rejects.toThrow(TakenError);
      expect(await createOne(repository, "ada@example.com")).toMatchObject({ email: "ada@example.com" });
    });

    it("frees the old username, and takes the new one", async () => {
      const repository = await create();
      const [ada] = await createTwo(repository);
      await repository.update(ada.id, changed({ username: "Lovelace" }), SCOPE);
      await expect(createOne(repository, "x@example.com", { username: "lovelace" })).rejects.toThrow(TakenError);
      expect(await createOne(repository, "y@example.com", { username: "ada" })).toMatchObject({ username: "ada" });
    });

    it("frees the username of a user who gives it up", async () => {
      const repository = await create();
      const [ada, bob] = await createTwo(repository);
      await repository.update(ada.id, changed({ username: undefined }), SCOPE);
      expect(await repository.update(bob.id, changed({ username: "ADA" }), SCOPE)).toMatchObject({ username: "ADA" });
    });

    it("takes the username of a user who had none", async () => {
      const repository = await create();
      const { id } = await createOne(repository, "ada@example.com");
      await repository.update(id, changed({ username: "Ada" }), SCOPE);
      await expect(createOne(repository, "bob@example.com", { username: "ada" })).rejects.toThrow(TakenError);
    });

    it("keeps the keys of a user who changes in other ways", async () => {
      const repository = await create();
      const [ada] = await createTwo(repository);
      await repository.update(ada.id, changed({ age: 36 }), SCOPE);
      await expect(createOne(repository, "ada@example.com")).rejects.toMatchObject({ field: "email" });
      const creation = createOne(repository, "x@example.com", { username: "ada" });
      await expect(creation).rejects.toMatchObject({ field: "username" });
    });

    it("lets a user write their own keys in another form", async () => {
      const repository = await create();
      const [ada] = await createTwo(repository);
      const fields = { email: " ADA@Example.com", username: "Ada" };
      expect(await repository.update(ada.id, changed(fields), SCOPE)).toMatchObject(fields);
      await expect(createOne(repository, "ada@example.com")).rejects.toMatchObject({ field: "email" });
      const creation = createOne(repository, "x@example.com", { username: "ada" });
      await expect(creation).rejects.toMatchObject({ field: "username" });
    });

    it("lets a user return to the keys they had", async () => {
      const repository = await create();
      const [ada] = await createTwo(repository);
      await repository.update(ada.id, changed({ email: "x@example.com", username: "x" }), SCOPE);
      const fields = { email: "ada@example.com", username: "ada" };
      expect(await repository.update(ada.id, changed(fields), SCOPE)).toMatchObject(fields);
    });

    it.each<{ field: string; fields: Partial<UserFields> }>([
      { field: "email", fields: { email: "bob@example.com" } },
      { field: "email", fields: { email: " BOB@example.com", username: "free", age: 36 } },
      { field: "username", fields: { username: "bob" } },
      { field: "username", fields: { email: "free@example.com", username: "BOB", age: 36 } },
    ])("fails without an index when the $field is another user's, and changes nothing", async ({ field, fields }) => {
      const repository = await create();
      const users = await createTwo(repository);
      const error = await errorOf(repository.update(users[0].id, changed(fields), SCOPE));
      expect(error).toBeInstanceOf(TakenError);
      expect(error).toMatchObject({ field, index: undefined });
      expect(await everybody(repository)).toEqual(users);
      const free = await createOne(repository, "free@example.com", { username: "free" });
      expect(await everybody(repository)).toEqual([...users, free]);
      await expect(createOne(repository, "ada@example.com")).rejects.toThrow(TakenError);
    });

    it("lets exactly one of many racing users have an e-mail address, and a username", async () => {
      const repository = await create();
      const users = await repository.create(drafts(50), SCOPE);
      for (const [field, fields] of [
        ["email", { email: "race@example.com" }],
        ["username", { username: "race" }],
      ] as const) {
        const calls = users.map(({ id }) => repository.update(id, changed(fields), SCOPE));
        const { results, errors } = await outcomesOf(calls);
        expect(results).toMatchObject([fields]);
        expect((await everybody(repository)).filter((user) => user[field] === results[0]?.[field])).toEqual(results);
        for (const error of errors) expect(error).toMatchObject({ name: "TakenError", field, index: undefined });
      }
    });

    it("lets either a creation or an update have an e-mail address that they race for", async () => {
      const repository = await create();
      const users = await repository.create(drafts(20), SCOPE);
      for (const [index, { id }] of users.entries()) {
        const email = `race${index}@example.com`;
        const calls = [
          repository.update(id, changed({ email }), SCOPE).then((user) => [user]),
          repository.create([draft(email)], SCOPE),
        ];
        const { results, errors } = await outcomesOf(index % 2 ? calls : calls.reverse());
        expect(results).toMatchObject([[{ email }]]);
        expect(errors).toMatchObject([{ name: "TakenError", field: "email" }]);
      }
    });
  });

  describe(`${name}.update, when it is called off`, () => {
    const reason = new Error("called off");

    it("fails with the signal's reason, and changes nothing", async () => {
      const repository = await create();
      const users = await createTwo(repository);
      const update = repository.update(
        users[0].id,
        changed({ age: 36 }),
        scopeOf({ signal: AbortSignal.abort(reason) }),
      );
      expect(await errorOf(update)).toBe(reason);
      expect(await everybody(repository)).toEqual(users);
    });

    it("fails with the signal's reason even if there is no such user", async () => {
      const repository = await create();
      const update = repository.update("no such id", () => undefined, scopeOf({ signal: AbortSignal.abort(reason) }));
      expect(await errorOf(update)).toBe(reason);
    });

    it("looks at the signal again after the change, and leaves the new keys free", async () => {
      const repository = await create();
      const users = await createTwo(repository);
      const controller = new AbortController();
      const change = (user: User) => {
        controller.abort(reason);
        return changed({ email: "free@example.com", username: "free" })(user);
      };
      expect(await errorOf(repository.update(users[0].id, change, scopeOf(controller)))).toBe(reason);
      expect(await everybody(repository)).toEqual(users);
      await createOne(repository, "free@example.com", { username: "free" });
    });

    it("keeps the change when the signal is aborted after it", async () => {
      const repository = await create();
      const { id } = await createOne(repository, "ada@example.com");
      const controller = new AbortController();
      const updated = await repository.update(id, changed({ age: 36 }), scopeOf(controller));
      controller.abort();
      expect(await repository.get(id, SCOPE)).toEqual(updated);
    });
  });
}
