import { describe, expect, it } from "vitest";
import type { Outcome } from "../../../src/repository/documents.ts";
import { ALL, createAuthor, type DocumentStore, setBio, submission, told } from "./documents.ts";
import { errorOf, SCOPE, scopeOf } from "./drafts.ts";

/** What documents promise to those who edit them. */
export function documentEditsContract(name: string, create: () => Promise<DocumentStore>): void {
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

    it("refuses an operation of too many steps for as many operations as it does not know", async () => {
      const { users, documents } = await create();
      const { id } = await createAuthor(users, "x".repeat(1000));
      const others = Array.from({ length: 201 }, () => submission(0, ["y"]));
      for (let start = 0; start < others.length; start += 50)
        await documents.apply(id, others.slice(start, start + 50), SCOPE);
      const steps = Array.from({ length: 500 }, () => [1, { d: 1 }]).flat();
      const outcomes = [submission(0, steps), submission(1, steps)].map((each) => documents.apply(id, [each], SCOPE));
      expect((await Promise.all(outcomes)).map(told)).toEqual([["OperationsExpiredError"], [202]]);
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
}

function toOutcome(revision: number): Outcome {
  return { revision };
}
