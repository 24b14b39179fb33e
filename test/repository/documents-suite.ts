import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { OperationsExpiredError, RevisionUnknownError, UserNotFoundError } from "../../src/domain/errors.ts";
import type { TextOperation } from "../../src/domain/text-operation.ts";
import { toProfile, type User } from "../../src/domain/user.ts";
import type { Documents, OperationRetention, Outcome, Submission } from "../../src/repository/documents.ts";
import type { UserRepository } from "../../src/repository/user-repository.ts";
import { changed, createOne, errorOf, SCOPE, scopeOf } from "./suite/drafts.ts";

/** Where documents are kept, and the users whose they are. */
export interface DocumentStore {
  readonly users: UserRepository;
  readonly documents: Documents;
  /** Forgets operations that are no longer kept. */
  forget(retention: OperationRetention): Promise<void>;
}

const ALL = { after: 0, limit: 1000 };
const HOUR_MS = 3_600_000;

/** An operation on the text of a revision. */
export function submission(baseRevision: number, operation: TextOperation, more: Partial<Submission> = {}): Submission {
  return { operationId: randomUUID(), userId: "ada", baseRevision, operation, ...more };
}

/** A user with this bio. */
export function createAuthor(users: UserRepository, bio = "", avatarUrl = ""): Promise<User> {
  return createOne(users, `${randomUUID()}@example.com`, { profile: toProfile({ bio, avatarUrl }) });
}

async function setBio(users: UserRepository, id: string, bio: string): Promise<void> {
  await users.update(id, changed({ profile: toProfile({ bio }) }), SCOPE);
}

/** What the outcomes say: revisions, and the reasons or names of errors. */
export function told(outcomes: readonly Outcome[]): (number | string)[] {
  return outcomes.map((outcome) => {
    if ("revision" in outcome) return outcome.revision;
    const { violations } = outcome.error as { violations?: readonly { field: string; reason: string }[] };
    return violations?.map(({ field, reason }) => `${field}: ${reason}`).join() ?? outcome.error.name;
  });
}

/** Holds an adapter to the contract of Documents: one test per promise. `create` makes an empty store, and releases it by itself. */
export function documentsContract(name: string, create: () => Promise<DocumentStore>): void {
  describe(`${name}.read`, () => {
    it("reads the bio as revision 0 of a document that nobody has edited", async () => {
      const { users, documents } = await create();
      const { id } = await createAuthor(users, "Writes 😀.");
      expect(await documents.read(id, SCOPE)).toEqual({ revision: 0, text: "Writes 😀.", caughtUp: false });
      const { id: bob } = await createAuthor(users);
      expect(await documents.read(bob, SCOPE)).toEqual({ revision: 0, text: "", caughtUp: false });
      expect(await documents.latest(id, SCOPE)).toBe(0);
      expect(await documents.list(id, ALL, SCOPE)).toEqual([]);
    });

    it("turns a change of the bio into an operation, once", async () => {
      const { users, documents } = await create();
      const { id } = await createAuthor(users, "one two three");
      await documents.read(id, SCOPE);
      await setBio(users, id, "one 2 three");
      const user = await users.get(id, SCOPE);
      expect(await documents.read(id, SCOPE)).toEqual({ revision: 1, text: "one 2 three", caughtUp: true });
      expect(await documents.read(id, SCOPE)).toEqual({ revision: 1, text: "one 2 three", caughtUp: false });
      expect(await documents.list(id, ALL, SCOPE)).toEqual([
        { revision: 1, operation: [4, { d: 3 }, "2"], userId: "", operationId: "" },
      ]);
      expect(await users.get(id, SCOPE), "the user does not change by it").toEqual(user);
    });

    it("leaves other changes of the user alone", async () => {
      const { users, documents } = await create();
      const { id } = await createAuthor(users, "text");
      await documents.read(id, SCOPE);
      await users.update(id, changed({ name: "another" }), SCOPE);
      expect(await documents.read(id, SCOPE)).toMatchObject({ revision: 0, caughtUp: false });
    });
  });

  describe(`${name}.apply`, () => {
    it("changes the text and the bio, the version, and the time of the change", async () => {
      const { users, documents } = await create();
      const before = await createAuthor(users, "Hello", "https://example.com/a.png");
      const hello = submission(0, [5, " 👩‍🚀"]);
      expect(await documents.apply(before.id, [hello], SCOPE)).toEqual([{ revision: 1 }]);
      const after = await users.get(before.id, SCOPE);
      expect(after).toEqual({
        ...before,
        version: before.version + 1,
        updatedAt: after.updatedAt,
        profile: { bio: "Hello 👩‍🚀", avatarUrl: "https://example.com/a.png" },
      });
      expect(after.updatedAt).toBeGreaterThanOrEqual(before.updatedAt);
      expect(await documents.read(before.id, SCOPE)).toEqual({ revision: 1, text: "Hello 👩‍🚀", caughtUp: false });
      const { operationId } = hello;
      expect(await documents.list(before.id, ALL, SCOPE)).toEqual([
        { revision: 1, operation: [5, " 👩‍🚀"], userId: "ada", operationId },
      ]);
      const changes = await users.changes.list({ after: 0, limit: 10 }, SCOPE);
      expect(changes.map(({ userId, kind }) => [userId, kind])).toEqual([
        [before.id, "created"],
        [before.id, "updated"],
      ]);
    });

    it("takes a bio away, and the profile with it if nothing else is in it", async () => {
      const { users, documents } = await create();
      const { id } = await createAuthor(users, "all");
      await documents.apply(id, [submission(0, [{ d: 3 }])], SCOPE);
      expect((await users.get(id, SCOPE)).profile).toBeUndefined();
      await documents.apply(id, [submission(1, ["new"])], SCOPE);
      expect((await users.get(id, SCOPE)).profile).toEqual({ bio: "new", avatarUrl: "" });
      const { id: bob } = await createAuthor(users, "all", "https://example.com/b.png");
      await documents.apply(bob, [submission(0, [{ d: 3 }])], SCOPE);
      expect((await users.get(bob, SCOPE)).profile).toEqual({ bio: "", avatarUrl: "https://example.com/b.png" });
    });

    it("transforms an operation by those that its author did not know of, and by those before it", async () => {
      const { users, documents } = await create();
      const { id } = await createAuthor(users, "ab");
      await documents.apply(id, [submission(0, [1, "1"])], SCOPE);
      const outcomes = await documents.apply(id, [submission(0, [1, "2"]), submission(0, [1, { d: 1 }, "3"])], SCOPE);
      expect(outcomes).toEqual([{ revision: 2 }, { revision: 3 }]);
      expect((await documents.read(id, SCOPE)).text).toBe("a123");
      expect((await documents.list(id, { after: 1, limit: 9 }, SCOPE)).map(({ operation }) => operation)).toEqual([
        [2, "2"],
        [3, { d: 1 }, "3"],
      ]);
    });

    it("changes the user once for all operations of a call", async () => {
      const { users, documents } = await create();
      const { id, version } = await createAuthor(users, "ab");
      await documents.apply(id, [submission(0, ["1"]), submission(0, ["2"]), submission(0, ["3"])], SCOPE);
      const user = await users.get(id, SCOPE);
      expect(user).toMatchObject({ version: version + 1, profile: { bio: "123ab" } });
    });

    it("changes the user also where a later operation undoes an earlier one", async () => {
      const { users, documents } = await create();
      const { id, version } = await createAuthor(users, "ab");
      const outcomes = await documents.apply(id, [submission(0, ["1"]), submission(0, [2])], SCOPE);
      expect(outcomes).toEqual([{ revision: 1 }, { revision: 2 }]);
      expect((await users.get(id, SCOPE)).version).toBe(version + 1);
    });

    it("leaves the user as is where the text stays the same", async () => {
      const { users, documents } = await create();
      const user = await createAuthor(users, "ab");
      await documents.apply(user.id, [submission(0, []), submission(0, ["a", { d: 1 }])], SCOPE);
      expect(await users.get(user.id, SCOPE)).toEqual(user);
      expect(await documents.list(user.id, ALL, SCOPE)).toMatchObject([
        { revision: 1, operation: [] },
        { revision: 2, operation: ["a", { d: 1 }] },
      ]);
    });

    it("keeps an operation of which others had already done everything", async () => {
      const { users, documents } = await create();
      const { id } = await createAuthor(users, "abc");
      await documents.apply(id, [submission(0, [1, { d: 1 }]), submission(0, [1, { d: 1 }])], SCOPE);
      expect((await documents.list(id, ALL, SCOPE)).map(({ operation }) => operation)).toEqual([[1, { d: 1 }], []]);
    });

    it("applies an operation once, however often it is submitted, in one call or in several", async () => {
      const { users, documents } = await create();
      const { id } = await createAuthor(users, "ab");
      const again = submission(0, ["x"]);
      const other = submission(0, ["y"]);
      expect(await documents.apply(id, [again, other, again], SCOPE)).toEqual([1, 2, 1].map(toOutcome));
      expect(await documents.apply(id, [{ ...again, baseRevision: 2 }, other], SCOPE)).toEqual([1, 2].map(toOutcome));
      expect((await documents.read(id, SCOPE)).text).toBe("xyab");
      const { id: bob } = await createAuthor(users);
      expect(await documents.apply(bob, [again], SCOPE), "of another document").toEqual([{ revision: 1 }]);
    });

    it("takes a change of the bio that was made meanwhile into account", async () => {
      const { users, documents } = await create();
      const { id } = await createAuthor(users, "one two");
      await documents.apply(id, [submission(0, ["zero "])], SCOPE);
      await setBio(users, id, "zero 1 two");
      expect(await documents.apply(id, [submission(1, [12, " three"])], SCOPE)).toEqual([{ revision: 3 }]);
      expect(await documents.read(id, SCOPE)).toEqual({ revision: 3, text: "zero 1 two three", caughtUp: false });
      expect((await documents.list(id, ALL, SCOPE))[1]).toMatchObject({ revision: 2, userId: "", operationId: "" });
    });

    it("refuses the faulty ones, and applies the others", async () => {
      const { users, documents } = await create();
      const { id } = await createAuthor(users, "ab");
      const outcomes = await documents.apply(
        id,
        [
          submission(0, ["1"]),
          submission(1, ["unknown"]),
          submission(0, [3, "beyond"]),
          submission(0, [3]),
          submission(0, ["x".repeat(16_384)]),
          submission(0, ["\ud800"]),
          submission(0, [2, "2"]),
        ],
        SCOPE,
      );
      expect(told(outcomes)).toEqual([
        1,
        "RevisionUnknownError",
        "operation.steps: STEPS_BEYOND_END",
        "operation.steps: STEPS_BEYOND_END",
        "operation.steps: TEXT_TOO_LONG",
        "operation.steps: INSERT_INVALID",
        2,
      ]);
      expect((await documents.read(id, SCOPE)).text).toBe("1ab2");
    });

    it("measures an operation by the text that it was made for", async () => {
      const { users, documents } = await create();
      const { id } = await createAuthor(users, "abc");
      await documents.apply(id, [submission(0, [{ d: 3 }])], SCOPE);
      expect(told(await documents.apply(id, [submission(0, [3, "!"]), submission(0, [4, "!"])], SCOPE))).toEqual([
        2,
        "operation.steps: STEPS_BEYOND_END",
      ]);
      expect(told(await documents.apply(id, [submission(2, [2, "?"])], SCOPE))).toEqual([
        "operation.steps: STEPS_BEYOND_END",
      ]);
      expect((await documents.read(id, SCOPE)).text).toBe("!");
    });

    it("keeps odd texts as they are", async () => {
      const { users, documents } = await create();
      const { id } = await createAuthor(users);
      const odd = "'\"\\{}\n\u2028\u202e\ufffe👨‍👩‍👧 e\u0301 \\u0041 $1 __proto__";
      await documents.apply(id, [submission(0, [odd], { userId: "o'hara 😀" })], SCOPE);
      expect((await documents.read(id, SCOPE)).text).toBe(odd);
      expect(await documents.list(id, ALL, SCOPE)).toMatchObject([{ operation: [odd], userId: "o'hara 😀" }]);
    });

    it("does nothing once the signal is aborted", async () => {
      const { users, documents } = await create();
      const { id } = await createAuthor(users, "ab");
      const reason = new Error("called off");
      const scope = scopeOf({ signal: AbortSignal.abort(reason) });
      expect(await errorOf(documents.apply(id, [submission(0, ["x"])], scope))).toBe(reason);
      expect(await documents.read(id, SCOPE)).toMatchObject({ revision: 0, text: "ab" });
    });

    it("puts operations that are applied at once in one order", async () => {
      const { users, documents } = await create();
      const { id } = await createAuthor(users);
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, index) => documents.apply(id, [submission(0, [`${index},`])], SCOPE)),
      );
      const revisions = outcomes.flatMap(told);
      expect(revisions.toSorted((one, other) => Number(one) - Number(other))).toEqual(
        Array.from({ length: 20 }, (_, index) => index + 1),
      );
      const applied = await documents.list(id, ALL, SCOPE);
      const order = applied.map(({ operation }) => operation.at(-1)).join("");
      expect((await documents.read(id, SCOPE)).text).toBe(order);
      expect((await users.get(id, SCOPE)).profile?.bio).toBe(order);
    });
  });

  describe(`${name}.list`, () => {
    it("reads in order, from anywhere, no more than asked for", async () => {
      const { users, documents } = await create();
      const { id } = await createAuthor(users);
      await documents.apply(
        id,
        ["a", "b", "c", "d"].map((text) => submission(0, [text])),
        SCOPE,
      );
      const revisions = async (after: number, limit: number) =>
        (await documents.list(id, { after, limit }, SCOPE)).map(({ revision }) => revision);
      expect(await revisions(0, 2)).toEqual([1, 2]);
      expect(await revisions(2, 9)).toEqual([3, 4]);
      expect(await revisions(4, 9)).toEqual([]);
      expect(await revisions(9, 9)).toEqual([]);
      expect(await documents.latest(id, SCOPE)).toBe(4);
    });
  });

  describe(`${name}, where operations are no longer kept`, () => {
    it("says so, and knows the latest", async () => {
      const { users, documents, forget } = await create();
      const { id } = await createAuthor(users);
      const old = submission(0, ["a"]);
      await documents.apply(id, [old, ...["b", "c", "d"].map((text) => submission(0, [text]))], SCOPE);
      await forget({ maxCount: 2, maxAgeMs: HOUR_MS });
      expect(await errorOf(documents.list(id, { after: 1, limit: 9 }, SCOPE))).toBeInstanceOf(OperationsExpiredError);
      expect((await documents.list(id, { after: 2, limit: 9 }, SCOPE)).map(({ revision }) => revision)).toEqual([3, 4]);
      const outcomes = await documents.apply(
        id,
        [submission(1, ["x"]), submission(2, ["y"]), { ...old, baseRevision: 4 }],
        SCOPE,
      );
      // The id of what is not kept is not known either.
      expect(told(outcomes)).toEqual(["OperationsExpiredError", 5, 6]);
      expect(await documents.read(id, SCOPE)).toMatchObject({ revision: 6, text: "yaabcd" });
    });

    it("forgets what is too old", async () => {
      const { users, documents, forget } = await create();
      const { id } = await createAuthor(users, "text");
      await documents.apply(id, [submission(0, ["a"])], SCOPE);
      await forget({ maxCount: 1000, maxAgeMs: -1000 });
      expect(await errorOf(documents.list(id, ALL, SCOPE))).toBeInstanceOf(OperationsExpiredError);
      expect(await documents.list(id, { after: 1, limit: 9 }, SCOPE)).toEqual([]);
      expect(told(await documents.apply(id, [submission(1, ["b"]), submission(2, ["c"])], SCOPE))).toEqual([
        2,
        new RevisionUnknownError().name,
      ]);
    });
  });

  describe(`${name}, when the user is deleted`, () => {
    it("has nothing any more", async () => {
      const { users, documents } = await create();
      const { id } = await createAuthor(users, "text");
      await documents.apply(id, [submission(0, ["a"])], SCOPE);
      await users.delete(id, () => {}, SCOPE);
      for (const call of [
        () => documents.read(id, SCOPE),
        () => documents.latest(id, SCOPE),
        () => documents.list(id, ALL, SCOPE),
        () => documents.apply(id, [submission(0, ["a"])], SCOPE),
      ]) {
        expect(await errorOf(call())).toMatchObject({ name: UserNotFoundError.name, id });
      }
    });

    it.each(["nobody", "", "no\0body"])("is as without a user with the id %j", async (id) => {
      const { documents } = await create();
      expect(await errorOf(documents.read(id, SCOPE))).toBeInstanceOf(UserNotFoundError);
      expect(await errorOf(documents.latest(id, SCOPE))).toBeInstanceOf(UserNotFoundError);
      expect(await errorOf(documents.list(id, ALL, SCOPE))).toBeInstanceOf(UserNotFoundError);
      expect(await errorOf(documents.apply(id, [submission(0, [])], SCOPE))).toBeInstanceOf(UserNotFoundError);
    });
  });
}

function toOutcome(revision: number): Outcome {
  return { revision };
}
