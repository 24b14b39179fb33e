import { describe, expect, it } from "vitest";
import { TakenError } from "../../../src/domain/errors.ts";
import type { UserDraft } from "../../../src/domain/user.ts";
import type { UserRepository } from "../../../src/repository/user-repository.ts";
import { createOne, draft, drafts, errorOf, everybody, outcomesOf, RACERS, SCOPE } from "./drafts.ts";

/** What a repository promises of e-mail addresses and usernames that several drafts or users want. */
export function takenKeysContract(name: string, create: () => Promise<UserRepository>): void {
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
      const error = await errorOf(repository.create(batch, SCOPE));
      expect(error).toBeInstanceOf(TakenError);
      expect(error).toMatchObject({ field: "email", index });
      expect(await everybody(repository)).toEqual(before);
    });

    it("leaves the other addresses of the batch free", async () => {
      const repository = await create();
      await createOne(repository, "taken@example.com");
      const free = drafts(3);
      await errorOf(repository.create([...free, draft("taken@example.com")], SCOPE));
      const users = await repository.create(free, SCOPE);
      expect(users.map(({ email }) => email)).toEqual(free.map(({ email }) => email));
    });

    it("lets exactly one of many racing calls succeed", async () => {
      const repository = await create();
      const forms = ["race@example.com", "RACE@example.com", " race@EXAMPLE.com"];
      const calls = Array.from({ length: RACERS }, (_, index) =>
        repository.create([draft(forms[index % forms.length] ?? "")], SCOPE),
      );
      const { results, errors } = await outcomesOf(calls);
      expect(results).toHaveLength(1);
      expect(await everybody(repository)).toEqual(results[0]);
      for (const error of errors) expect(error).toMatchObject({ name: "TakenError", field: "email", index: 0 });
    });

    it("lets one of racing batches succeed as a whole, when each has the others' addresses in another order", async () => {
      const repository = await create();
      const batch = drafts(20);
      const calls = Array.from({ length: 20 }, (_, turn) =>
        repository.create([...batch.slice(turn), ...batch.slice(0, turn)], SCOPE),
      );
      const { results, errors } = await outcomesOf(calls);
      expect(results).toHaveLength(1);
      expect(await everybody(repository)).toEqual(results[0]);
      for (const error of errors) expect(error).toMatchObject({ name: "TakenError", field: "email", index: 0 });
    });
  });

  describe(`${name}.create, when a username is taken`, () => {
    /** Drafts with these usernames, whose addresses are nobody's. */
    function named(...usernames: (string | undefined)[]): UserDraft[] {
      return usernames.map((username, index) => draft(`new${index}@example.com`, { username }));
    }

    it.each([
      { when: "a user has it", usernames: ["new", "Taken"], index: 1 },
      { when: "a user has it in another case", usernames: ["tAKEN"], index: 0 },
      { when: "an earlier draft has it", usernames: ["a", undefined, "b", "a"], index: 3 },
      { when: "an earlier draft has it in another case", usernames: ["a", "A"], index: 1 },
      { when: "a user has one, an earlier draft a later one", usernames: ["a", "taken", "a"], index: 1 },
      { when: "an earlier draft has one, a user a later one", usernames: ["a", "a", "taken"], index: 1 },
    ])("fails with the lowest index, and creates nobody, when $when", async ({ usernames, index }) => {
      const repository = await create();
      const user = await createOne(repository, "taken@example.com", { username: "Taken" });
      const error = await errorOf(repository.create(named(...usernames), SCOPE));
      expect(error).toBeInstanceOf(TakenError);
      expect(error).toMatchObject({ field: "username", index });
      expect(await everybody(repository)).toEqual([user]);
    });

    it("creates as many users without a username as there are", async () => {
      const repository = await create();
      const users = await repository.create(named(undefined, "a", undefined, undefined), SCOPE);
      expect(users.map(({ username }) => username)).toEqual([undefined, "a", undefined, undefined]);
    });

    it("keeps usernames and e-mail addresses apart", async () => {
      const repository = await create();
      await createOne(repository, "a@example.com", { username: "b" });
      expect(await createOne(repository, "b@example.com", { username: "a" })).toMatchObject({ username: "a" });
    });

    it("names the e-mail address if both are taken", async () => {
      const repository = await create();
      await createOne(repository, "ada@example.com", { username: "ada" });
      const both = draft("ADA@example.com", { username: "ADA" });
      expect(await errorOf(repository.create([both], SCOPE))).toMatchObject({ field: "email", index: 0 });
      await createOne(repository, "bob@example.com");
      const [first, second] = [draft("bob@example.com"), draft("eve@example.com", { username: "ada" })];
      expect(await errorOf(repository.create([second, first], SCOPE))).toMatchObject({ field: "username", index: 0 });
      expect(await errorOf(repository.create([first, second], SCOPE))).toMatchObject({ field: "email", index: 0 });
    });

    it("leaves the other usernames and the addresses of the batch free", async () => {
      const repository = await create();
      await createOne(repository, "taken@example.com", { username: "taken" });
      await errorOf(repository.create(named("a", "b", "taken"), SCOPE));
      expect(await repository.create(named("a", "b", "c"), SCOPE)).toHaveLength(3);
    });

    it("lets one of racing batches succeed as a whole, when each has the others' usernames in another order", async () => {
      const repository = await create();
      const calls = Array.from({ length: 6 }, (_, turn) => {
        const usernames = Array.from({ length: 30 }, (_name, index) => `name${(index * (turn + 1)) % 31}`);
        return repository.create(
          usernames.map((username, index) => draft(`batch${turn}-${index}@example.com`, { username })),
          SCOPE,
        );
      });
      const { results, errors } = await outcomesOf(calls);
      expect(results).toHaveLength(1);
      for (const error of errors) expect(error).toMatchObject({ name: "TakenError", field: "username" });
    });

    it("lets exactly one of many racing calls succeed", async () => {
      const repository = await create();
      const calls = Array.from({ length: RACERS }, (_, index) =>
        repository.create([draft(`race${index}@example.com`, { username: index % 2 ? "Race" : "race" })], SCOPE),
      );
      const { results, errors } = await outcomesOf(calls);
      expect(results).toHaveLength(1);
      expect(await everybody(repository)).toEqual(results[0]);
      for (const error of errors) expect(error).toMatchObject({ name: "TakenError", field: "username", index: 0 });
    });
  });
}
