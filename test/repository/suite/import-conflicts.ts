import { describe, expect, it } from "vitest";
import { changed, createOne, draft, everybody, SCOPE } from "./drafts.ts";

import { applyAll, fieldsByEmail, type Importing, NOTHING, row, UPLOAD } from "./import-rows.ts";

const ONE_USER = { after: undefined, limit: 1 };

/** What imports promise of usernames that several want, and of users whom others write at the same time. */
export function importConflictsContract(name: string, create: () => Promise<Importing>): void {
  describe(`${name}.apply, when a username is wanted`, () => {
    it("fails the row of a user to whom it does not belong", async () => {
      const { users, imports } = await create();
      await createOne(users, "taken@example.com", { username: "Taken" });
      await createOne(users, "bob@example.com", { username: "bob" });
      const report = await applyAll(imports, [
        row("new@example.com", { username: "tAKEN" }, 2),
        row("bob@example.com", { username: "taken" }, 3),
        row("taken@example.com", { username: "TAKEN" }, 4),
      ]);
      const fault = {
        field: "username",
        reason: "USERNAME_TAKEN",
        description: "must not be the username of another user",
      };
      const failures = [2, 3].map((line) => ({ line, ...fault }));
      expect(report).toEqual({ ...NOTHING, updated: 1, failed: 2, failures });
      expect([...(await fieldsByEmail(users)).keys()]).toEqual(["taken@example.com", "bob@example.com"]);
    });

    it("gives it to the first of two rows that want it", async () => {
      const { users, imports } = await create();
      const rows = [row("a@example.com", { username: "ada" }, 1), row("b@example.com", { username: "ADA" }, 2)];
      expect(await applyAll(imports, rows)).toMatchObject({ created: 1, failed: 1, failures: [{ line: 2 }] });
      expect(await users.list(ONE_USER, SCOPE)).toMatchObject([{ username: "ada" }]);
    });

    it("gives it to a later row if an earlier one makes it free, and not the other way round", async () => {
      const { users, imports } = await create();
      await createOne(users, "a@example.com", { username: "one" });
      await createOne(users, "b@example.com", { username: "two" });
      const report = await applyAll(imports, [
        row("b@example.com", { username: "one" }, 1),
        row("a@example.com", { username: "three" }, 2),
        row("c@example.com", { username: "one" }, 3),
        row("b@example.com", { username: "one" }, 4),
      ]);
      expect(report).toMatchObject({ created: 1, updated: 1, failed: 2, failures: [{ line: 1 }, { line: 4 }] });
      const found = await fieldsByEmail(users);
      expect([...found].map(([email, { username }]) => [email, username])).toEqual([
        ["a@example.com", "three"],
        ["b@example.com", "two"],
        ["c@example.com", "one"],
      ]);
    });
  });

  describe(`${name}.apply, when others write the same users`, () => {
    it("changes a user whom somebody else creates at the same time, or is created before", async () => {
      const { users, imports } = await create();
      for (let round = 0; round < 20; round++) {
        const email = `race${round}@example.com`;
        const upload = { ...UPLOAD, id: String(round) };
        const create = users.create([draft(email, { age: 1 })], SCOPE).then(
          () => true,
          (error: unknown) => {
            expect(error).toMatchObject({ name: "TakenError" });
            return false;
          },
        );
        const [created, report] = await Promise.all([create, applyAll(imports, [row(email, { age: 2 })], { upload })]);
        expect(report).toEqual(created ? { ...NOTHING, updated: 1 } : { ...NOTHING, created: 1 });
      }
      const everyone = await everybody(users);
      expect(everyone.map(({ age }) => age)).toEqual(everyone.map(() => 2));
      expect(everyone).toHaveLength(20);
    });

    it("loses neither its change of a user nor that of somebody else", async () => {
      const { users, imports } = await create();
      const { id } = await createOne(users, "ada@example.com");
      for (let round = 0; round < 20; round++) {
        const upload = { ...UPLOAD, id: String(round) };
        await Promise.all([
          users.update(id, changed({ age: round }), SCOPE),
          applyAll(imports, [row("ada@example.com", { name: `name ${round}` })], { upload }),
        ]);
        expect(await users.get(id, SCOPE)).toMatchObject({ age: round, name: `name ${round}` });
      }
    });

    it("creates a user anew who is deleted at the same time, or has them deleted", async () => {
      const { users, imports } = await create();
      for (let round = 0; round < 10; round++) {
        const email = `gone${round}@example.com`;
        const { id } = await createOne(users, email);
        const upload = { ...UPLOAD, id: String(round) };
        const [, report] = await Promise.all([
          users.delete(id, () => {}, SCOPE),
          applyAll(imports, [row(email, { age: 2 })], { upload }),
        ]);
        expect((await everybody(users)).length, email).toBe(report.created);
        for (const user of await everybody(users)) await users.delete(user.id, () => {}, SCOPE);
      }
    });

    it("imports two files with the same users and usernames in different orders", async () => {
      const { users, imports } = await create();
      const rows = Array.from({ length: 40 }, (_, index) =>
        row(`user${index}@example.com`, { username: `name${index}`, tags: ["x"] }),
      );
      const other = { ...UPLOAD, id: "another" };
      const reports = await Promise.all([
        applyAll(imports, rows, { size: 13 }),
        applyAll(imports, rows.toReversed(), { upload: other, size: 17 }),
      ]);
      const [created, skipped] = (["created", "skipped"] as const).map((outcome) =>
        reports.reduce((sum, report) => sum + report[outcome], 0),
      );
      expect([created, skipped]).toEqual([40, 40]);
      expect(await everybody(users)).toHaveLength(40);
    });
  });
}
