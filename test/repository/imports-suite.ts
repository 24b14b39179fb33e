import { describe, expect, it } from "vitest";
import { UploadIdReusedError } from "../../src/domain/errors.ts";
import { BLANK_USER, draftUser, type User, type UserFields } from "../../src/domain/user.ts";
import {
  type ImportReport,
  type ImportRow,
  type Imports,
  MAX_FAILURES,
  rowCountOf,
  type Upload,
} from "../../src/repository/imports.ts";
import type { WriteScope } from "../../src/repository/scope.ts";
import type { UserRepository } from "../../src/repository/user-repository.ts";
import {
  callOffLaterAndLater,
  changed,
  createOne,
  draft,
  errorOf,
  everybody,
  FULL_USER,
  SCOPE,
  scopeOf,
} from "./suite/drafts.ts";

/** What the suite holds to the contract: imports, and the users into whom they import. */
export interface Importing {
  readonly users: UserRepository;
  readonly imports: Imports;
}

const UPLOAD: Upload = { caller: "root", id: "00000000-0000-4000-8000-000000000001", fingerprint: "a file" };
const NOTHING: ImportReport = { created: 0, updated: 0, skipped: 0, failed: 0, failures: [] };
const FAULT = { field: "name", reason: "NAME_BLANK", description: "must not be only white space" };
const ONE_USER = { after: undefined, limit: 1 };

/** A row that gives the user with this address these fields, and for the rest leaves them as they are. */
function row(email: string, fields: Partial<UserFields> = {}, line = 1): ImportRow {
  const { emailKey, usernameKey } = draft(email, fields);
  const become = (current: User | undefined) =>
    draftUser({ ...BLANK_USER, name: "a name", ...current, ...fields, email });
  return { line, emailKey, usernameKey, become };
}

function failure(line: number): ImportRow {
  return { failure: { line, ...FAULT } };
}

function rowsOf(count: number, prefix = "user"): ImportRow[] {
  return Array.from({ length: count }, (_, index) => row(`${prefix}${index}@example.com`, {}, index + 1));
}

/** Applies all rows of an upload, as far as they have not been. */
async function applyAll(
  imports: Imports,
  rows: readonly ImportRow[],
  { upload = UPLOAD, size = 100, scope = SCOPE }: { upload?: Upload; size?: number; scope?: WriteScope } = {},
): Promise<ImportReport> {
  let report = await imports.begin(upload, scope);
  while (rowCountOf(report) < rows.length) {
    const first = rowCountOf(report);
    report = await imports.apply(upload, first, rows.slice(first, first + size), scope);
    expect(rowCountOf(report), "rows applied").toBeGreaterThan(first);
  }
  return report;
}

/** The fields of everybody, by e-mail address. */
async function fieldsByEmail(users: UserRepository): Promise<Map<string, Partial<User>>> {
  return new Map((await everybody(users)).map(({ id, createdAt, updatedAt, ...user }) => [user.email, user]));
}

/**
 * Holds an adapter to the contract of Imports: one test per promise. `create` makes an empty one, and releases what it holds
 * by itself after the test.
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
