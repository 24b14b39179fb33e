import { describe, expect, it } from "vitest";
import { OperationsExpiredError, RevisionUnknownError, UserNotFoundError } from "../../../src/domain/errors.ts";
import { ALL, createAuthor, type DocumentStore, setBio, submission, told } from "./documents.ts";
import { changed, errorOf, SCOPE } from "./drafts.ts";

const HOUR_MS = 3_600_000;

/** What documents promise to those who read them. */
export function documentReadsContract(name: string, create: () => Promise<DocumentStore>): void {
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
