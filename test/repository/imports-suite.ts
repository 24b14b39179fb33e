import { describe, expect, it, onTestFinished, vi } from "vitest";
import { UploadIdReusedError } from "../../src/domain/errors.ts";
import { MAX_FAILURES, rowCountOf, UPLOAD_LIFETIME_MS } from "../../src/repository/imports.ts";
import type { WriteScope } from "../../src/repository/scope.ts";
import { callOffLaterAndLater, createOne, errorOf, everybody, FULL_USER, SCOPE, scopeOf } from "./suite/drafts.ts";

import { importConflictsContract } from "./suite/import-conflicts.ts";
import { applyAll, FAULT, failure, type Importing, NOTHING, row, rowsOf, UPLOAD } from "./suite/import-rows.ts";

/**
 * Holds an adapter to the contract of Imports: one test per promise. `create` makes an empty one, and releases what it
 * holds by itself after the test.
 */
export function importsContract(name: string, create: () => Promise<Importing>): void {
  describe(`${name}.begin`, () => {
    it("tells of a new upload that nothing has become of it", async () => {
      const { imports } = await create();
      expect(await imports.begin(UPLOAD, SCOPE)).toEqual(NOTHING);
      expect(await imports.begin(UPLOAD, SCOPE)).toEqual(NOTHING);
    });

    it("tells what has become of a known one", async () => {
      const { imports } = await create();
      await imports.begin(UPLOAD, SCOPE);
      const report = await imports.apply(UPLOAD, 0, [row("ada@example.com"), failure(3)], SCOPE);
      expect(report).toEqual({ ...NOTHING, created: 1, failed: 1, failures: [{ line: 3, ...FAULT }] });
      expect(await imports.begin(UPLOAD, SCOPE)).toEqual(report);
    });

    it("fails for another file under the same id", async () => {
      const { imports } = await create();
      await imports.begin(UPLOAD, SCOPE);
      const other = { ...UPLOAD, fingerprint: "another file" };
      expect(await errorOf(imports.begin(other, SCOPE))).toBeInstanceOf(UploadIdReusedError);
      expect(await errorOf(imports.apply(other, 0, rowsOf(1), SCOPE))).toBeInstanceOf(UploadIdReusedError);
    });

    it("keeps the uploads of different callers apart", async () => {
      const { imports } = await create();
      await applyAll(imports, rowsOf(1));
      const other = { ...UPLOAD, caller: "other\u0000", fingerprint: "another file" };
      expect(await imports.begin(other, SCOPE)).toEqual(NOTHING);
    });

    it("knows an upload for 7 days after the last of its rows has been applied", async () => {
      const { imports } = await create();
      vi.useFakeTimers({ toFake: ["Date"] });
      onTestFinished(() => void vi.useRealTimers());
      const pass = (ms: number) => void vi.setSystemTime(Date.now() + ms);
      await imports.begin(UPLOAD, SCOPE);
      pass(UPLOAD_LIFETIME_MS - 1000);
      const report = await imports.apply(UPLOAD, 0, rowsOf(2), SCOPE);
      pass(UPLOAD_LIFETIME_MS - 1000);
      expect(await imports.begin(UPLOAD, SCOPE)).toEqual(report);
      pass(1000);
      const other = { ...UPLOAD, fingerprint: "another file" };
      expect(await imports.begin(other, SCOPE)).toEqual(NOTHING);
      expect(await applyAll(imports, rowsOf(2), { upload: other })).toEqual({ ...NOTHING, skipped: 2 });
    });

    it("fails with the signal's reason when it is called off", async () => {
      const { imports } = await create();
      const reason = new Error("called off");
      const scope = scopeOf({ signal: AbortSignal.abort(reason) });
      expect(await errorOf(imports.begin(UPLOAD, scope))).toBe(reason);
    });
  });

  describe(`${name}.apply`, () => {
    it("creates a user for each row, in their order, as the repository does", async () => {
      const { users, imports } = await create();
      const { email, ...fields } = FULL_USER;
      await createOne(users, "before@example.com");
      const after = await users.changes.latest(SCOPE);
      expect(await applyAll(imports, [...rowsOf(3), row(email, fields)])).toEqual({ ...NOTHING, created: 4 });
      const [before, ...created] = await everybody(users);
      expect(created.map((user) => user.email)).toEqual([...[0, 1, 2].map((n) => `user${n}@example.com`), email]);
      expect(created[3]).toMatchObject({ ...FULL_USER, version: 1, createdAt: created[0]?.createdAt });
      expect(
        created.every(({ id }) => id > (before?.id ?? "")),
        "ids",
      ).toBe(true);
      const changes = await users.changes.list({ after, limit: 9 }, SCOPE);
      expect(changes.map(({ kind }) => kind)).toEqual(["created", "created", "created", "created"]);
      expect(new Set(changes.map(({ userId }) => userId))).toEqual(new Set(created.map(({ id }) => id)));
    });

    it("changes the user with the e-mail address, whatever its form", async () => {
      const { users, imports } = await create();
      const user = await createOne(users, "ada@example.com", { age: 36, username: "ada" });
      const after = await users.changes.latest(SCOPE);
      const rows = [row("ADA@example.com", { name: "Ada" })];
      expect(await applyAll(imports, rows)).toEqual({ ...NOTHING, updated: 1 });
      expect(await everybody(users)).toEqual([
        { ...user, email: "ADA@example.com", name: "Ada", version: 2, updatedAt: expect.any(Number) },
      ]);
      expect(await users.changes.list({ after, limit: 9 }, SCOPE)).toMatchObject([
        { kind: "updated", userId: user.id },
      ]);
    });

    it("writes all that a user can have into one who exists", async () => {
      const { users, imports } = await create();
      const { email, ...fields } = FULL_USER;
      const { id } = await createOne(users, email);
      await createOne(users, "bob@example.com");
      await applyAll(imports, [row(email, fields), row("bob@example.com", { tags: ["a,b", '"'], age: 0 })]);
      expect(await users.get(id, SCOPE)).toMatchObject(FULL_USER);
      expect((await everybody(users))[1]).toMatchObject({ tags: ["a,b", '"'], age: 0, username: undefined });
    });

    it("leaves alone a user who is already as the row says", async () => {
      const { users, imports } = await create();
      const user = await createOne(users, "ada@example.com");
      const after = await users.changes.latest(SCOPE);
      expect(await applyAll(imports, [row("ada@example.com")])).toEqual({ ...NOTHING, skipped: 1 });
      expect(await everybody(users)).toEqual([user]);
      expect(await users.changes.latest(SCOPE)).toBe(after);
    });

    it("changes a user whom an earlier row has created", async () => {
      const { users, imports } = await create();
      const rows = [
        row("ada@example.com", { name: "Ada" }),
        row("eve@example.com"),
        row("ADA@example.com", { age: 36 }),
      ];
      expect(await applyAll(imports, rows)).toEqual({ ...NOTHING, created: 2, updated: 1 });
      expect((await everybody(users))[0]).toMatchObject({ name: "Ada", age: 36, email: "ADA@example.com", version: 2 });
    });

    it("asks what becomes of a user, and reports what is wrong", async () => {
      const { users, imports } = await create();
      const refusing = { ...row("ada@example.com", {}, 7), become: () => FAULT };
      const report = await applyAll(imports, [refusing, row("eve@example.com", {}, 8)]);
      expect(report).toEqual({ ...NOTHING, created: 1, failed: 1, failures: [{ line: 7, ...FAULT }] });
      expect(await everybody(users)).toHaveLength(1);
    });

    it("reports the first failures in the order of the rows, and counts the others", async () => {
      const { imports } = await create();
      const rows = Array.from({ length: MAX_FAILURES + 20 }, (_, index) => failure(index + 2));
      const report = await applyAll(imports, rows, { size: 7 });
      expect(report.failed).toBe(rows.length);
      expect(report.failures.map(({ line }) => line)).toEqual(
        Array.from({ length: MAX_FAILURES }, (_, index) => index + 2),
      );
    });

    it("applies nothing if other rows come next", async () => {
      const { users, imports } = await create();
      const report = await applyAll(imports, rowsOf(2));
      expect(await imports.apply(UPLOAD, 0, rowsOf(2), SCOPE)).toEqual(report);
      expect(await imports.apply(UPLOAD, 1, rowsOf(9, "other"), SCOPE)).toEqual(report);
      expect(await everybody(users)).toHaveLength(2);
    });

    it("applies each row once, however many calls do it at a time", async () => {
      const { users, imports } = await create();
      const rows = [...rowsOf(60), ...rowsOf(30), failure(91)];
      const reports = await Promise.all([7, 10, 10, 23].map((size) => applyAll(imports, rows, { size })));
      for (const report of reports) expect(rowCountOf(report)).toBe(91);
      expect(await imports.begin(UPLOAD, SCOPE)).toMatchObject({ created: 60, skipped: 30, failed: 1 });
      expect(await everybody(users)).toHaveLength(60);
      expect(await users.changes.latest(SCOPE)).toBe(
        (await users.changes.list({ after: 0, limit: 1000 }, SCOPE)).at(-1)?.revision,
      );
      expect(await users.changes.list({ after: 0, limit: 1000 }, SCOPE)).toHaveLength(60);
    });

    it("takes effect as a whole or not at all, and goes on from there, whenever it is called off", async () => {
      const { users, imports } = await create();
      const reason = new Error("called off");
      let expected = 0;
      const attempt = async (scope: WriteScope, index: number): Promise<void> => {
        const upload = { ...UPLOAD, id: String(index) };
        await imports.begin(upload, SCOPE);
        await imports.apply(upload, 0, rowsOf(5, `upload${index}-`), scope);
      };
      let index = 0;
      for await (const outcome of callOffLaterAndLater(attempt, reason)) {
        if (outcome.status === "rejected") expect(outcome.reason).toBe(reason);
        const upload = { ...UPLOAD, id: String(index) };
        const { created } = await imports.begin(upload, SCOPE);
        expect([0, 5]).toContain(created);
        if (outcome.status === "fulfilled") expect(created).toBe(5);
        const report = await applyAll(imports, rowsOf(5, `upload${index}-`), { upload });
        expect(report).toEqual({ ...NOTHING, created: 5 });
        expected += 5;
        expect(await everybody(users)).toHaveLength(expected);
        index++;
      }
    });
  });

  importConflictsContract(name, create);
}
