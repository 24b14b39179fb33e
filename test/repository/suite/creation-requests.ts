import { describe, expect, it, onTestFinished, vi } from "vitest";
import { RequestIdReusedError, TakenError, UserNotFoundError } from "../../../src/domain/errors.ts";
import type { UserFields } from "../../../src/domain/user.ts";
import {
  type CreationRequest,
  type NewUser,
  REQUEST_LIFETIME_MS,
  type UserRepository,
} from "../../../src/repository/user-repository.ts";
import { changed, createOne, draft, drafts, errorOf, everybody, outcomesOf, RACERS, SCOPE, scopeOf } from "./drafts.ts";

const REQUEST: CreationRequest = { caller: "alice", id: "7d2f", fingerprint: "of the content" };

/** A user to create at a request, which is REQUEST but for what is said. */
function requested(email: string, request: Partial<CreationRequest> = {}, fields: Partial<UserFields> = {}): NewUser {
  return { ...draft(email, fields), request: { ...REQUEST, ...request } };
}

/** Stops the clock; returns what moves it. */
function stopClock(): (ms: number) => void {
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  return (ms) => void vi.setSystemTime(Date.now() + ms);
}

/** What a repository promises to those who ask again for a creation. */
export function creationRequestsContract(name: string, create: () => Promise<UserRepository>): void {
  describe(`${name}.create, when a request is known`, () => {
    it("returns the user that it created, and creates nobody", async () => {
      const repository = await create();
      const [user] = await repository.create([requested("ada@example.com")], SCOPE);
      for (let again = 0; again < 3; again++) {
        expect(await repository.create([requested("ada@example.com")], SCOPE)).toEqual([user]);
      }
      expect(await everybody(repository)).toEqual([user]);
    });

    it("knows the content by its fingerprint, and by nothing else", async () => {
      const repository = await create();
      const [user] = await repository.create([requested("ada@example.com")], SCOPE);
      expect(await repository.create([requested("bob@example.com")], SCOPE)).toEqual([user]);
    });

    it("returns the user as they are now", async () => {
      const repository = await create();
      const [user] = await repository.create([requested("ada@example.com", {}, { username: "ada" })], SCOPE);
      const change = changed({ email: "lovelace@example.com", username: "lovelace", age: 36 });
      const updated = await repository.update(user?.id ?? "", change, SCOPE);
      expect(await repository.create([requested("ada@example.com", {}, { username: "ada" })], SCOPE)).toEqual([
        updated,
      ]);
      expect(await everybody(repository)).toEqual([updated]);
    });

    it("returns that user even if the e-mail address and the username are somebody else's by now", async () => {
      const repository = await create();
      const again = requested("ada@example.com", {}, { username: "ada" });
      const [user] = await repository.create([again], SCOPE);
      const change = changed({ email: "lovelace@example.com", username: undefined });
      const updated = await repository.update(user?.id ?? "", change, SCOPE);
      await createOne(repository, "ada@example.com", { username: "ada" });
      expect(await repository.create([again], SCOPE)).toEqual([updated]);
    });

    it("fails with the index when the fingerprint is another, and creates nobody", async () => {
      const repository = await create();
      const [user] = await repository.create([requested("ada@example.com")], SCOPE);
      const batch = [...drafts(2), requested("bob@example.com", { fingerprint: "of other content" })];
      const error = await errorOf(repository.create(batch, SCOPE));
      expect(error).toBeInstanceOf(RequestIdReusedError);
      expect(error).toMatchObject({ index: 2 });
      expect(await everybody(repository)).toEqual([user]);
    });

    it("fails with the id when the user has been deleted, and creates nobody", async () => {
      const repository = await create();
      const [user] = await repository.create([requested("ada@example.com")], SCOPE);
      const id = user?.id ?? "";
      await repository.delete(id, () => {}, SCOPE);
      const error = await errorOf(repository.create([...drafts(2), requested("ada@example.com")], SCOPE));
      expect(error).toBeInstanceOf(UserNotFoundError);
      expect(error).toMatchObject({ id });
      expect(await everybody(repository)).toEqual([]);
    });

    it("still fails for another fingerprint when the user has been deleted", async () => {
      const repository = await create();
      const [user] = await repository.create([requested("ada@example.com")], SCOPE);
      await repository.delete(user?.id ?? "", () => {}, SCOPE);
      const other = requested("ada@example.com", { fingerprint: "of other content" });
      await expect(repository.create([other], SCOPE)).rejects.toThrow(RequestIdReusedError);
    });

    it("takes the same id of another caller for another request", async () => {
      const repository = await create();
      const users = await repository.create([requested("ada@example.com")], SCOPE);
      users.push(...(await repository.create([requested("bob@example.com", { caller: "bob" })], SCOPE)));
      expect(await everybody(repository)).toEqual(users);
      expect(await repository.create([requested("bob@example.com", { caller: "bob" })], SCOPE)).toEqual([users[1]]);
    });

    it("does not confuse callers and ids that look alike when put together", async () => {
      const repository = await create();
      const parts = ["a", "a a", "a b", "a:b", "b", "", "a\u0000", "a/b", "ä"];
      const requests = parts.flatMap((caller) => ["1", "2", "12"].map((id) => ({ caller, id })));
      const batch = requests.map((request, index) => requested(`user${index}@example.com`, request));
      const users = await repository.create(batch, SCOPE);
      expect(await everybody(repository)).toEqual(users);
      expect(await repository.create(batch, SCOPE)).toEqual(users);
    });

    it("lets known requests and new users share a batch, in order", async () => {
      const repository = await create();
      const known = [requested("b@example.com", { id: "b" }), requested("a@example.com", { id: "a" })] as const;
      const [b, a] = await repository.create([...known], SCOPE);
      const batch = [draft("x@example.com"), known[1], requested("y@example.com", { id: "y" }), known[0]];
      const users = await repository.create(batch, SCOPE);
      expect(users.map(({ email }) => email)).toEqual([
        "x@example.com",
        "a@example.com",
        "y@example.com",
        "b@example.com",
      ]);
      expect([users[1], users[3]]).toEqual([a, b]);
      expect(await everybody(repository)).toEqual([b, a, users[0], users[2]]);
    });

    it("creates one user when a request occurs twice in a batch", async () => {
      const repository = await create();
      const twice = requested("ada@example.com", {}, { username: "ada" });
      const batch = [twice, draft("bob@example.com"), { ...twice }];
      const [ada, bob, again] = await repository.create(batch, SCOPE);
      expect(again).toEqual(ada);
      expect(await everybody(repository)).toEqual([ada, bob]);
      expect(await repository.create([twice], SCOPE)).toEqual([ada]);
    });

    it("fails with the index of the second when a request occurs twice in a batch with other content", async () => {
      const repository = await create();
      const other = requested("bob@example.com", { fingerprint: "of other content" });
      const error = await errorOf(repository.create([requested("ada@example.com"), ...drafts(1), other], SCOPE));
      expect(error).toBeInstanceOf(RequestIdReusedError);
      expect(error).toMatchObject({ index: 2 });
      expect(await everybody(repository)).toEqual([]);
    });

    it("fails for the lowest index, whatever is wrong there", async () => {
      const repository = await create();
      const [known] = [requested("known@example.com", { id: "known" })];
      const [deleted] = [requested("deleted@example.com", { id: "deleted" })];
      const [, user] = await repository.create([known, deleted], SCOPE);
      await repository.delete(user?.id ?? "", () => {}, SCOPE);

      const reused = { ...known, request: { ...REQUEST, id: "known", fingerprint: "of other content" } };
      const taken = draft("known@example.com");
      const refused = async (...batch: NewUser[]) => errorOf(repository.create([known, ...batch], SCOPE));
      expect(await refused(reused, taken, deleted)).toBeInstanceOf(RequestIdReusedError);
      expect(await refused(taken, deleted, reused)).toBeInstanceOf(TakenError);
      expect(await refused(deleted, reused, taken)).toBeInstanceOf(UserNotFoundError);
    });

    it("creates one user when the same request races itself", async () => {
      const repository = await create();
      const calls = Array.from({ length: RACERS }, () => repository.create([requested("ada@example.com")], SCOPE));
      const users = (await Promise.all(calls)).flat();
      expect(await everybody(repository)).toEqual([users[0]]);
      for (const user of users) expect(user).toEqual(users[0]);
    });

    it("lets one content win when the same request races itself with several", async () => {
      const repository = await create();
      const calls = Array.from({ length: RACERS }, (_, index) =>
        repository.create([requested(`user${index}@example.com`, { fingerprint: `of content ${index}` })], SCOPE),
      );
      const { results, errors } = await outcomesOf(calls);
      expect(await everybody(repository)).toEqual(results.flat());
      expect(results).toHaveLength(1);
      for (const error of errors) expect(error).toMatchObject({ name: "RequestIdReusedError", index: 0 });
    });
  });

  describe(`${name}.create, when a call with a request fails`, () => {
    it("does not know the request afterwards", async () => {
      const repository = await create();
      await createOne(repository, "taken@example.com");
      await errorOf(repository.create([requested("ada@example.com"), draft("taken@example.com")], SCOPE));
      const other = requested("bob@example.com", { fingerprint: "of other content" });
      expect(await repository.create([other], SCOPE)).toMatchObject([{ email: "bob@example.com" }]);
    });

    it("does not know it either when the e-mail address of the request itself was taken", async () => {
      const repository = await create();
      const { id } = await createOne(repository, "ada@example.com");
      await expect(repository.create([requested("ada@example.com")], SCOPE)).rejects.toThrow(TakenError);
      await repository.delete(id, () => {}, SCOPE);
      const [user] = await repository.create([requested("ada@example.com")], SCOPE);
      expect(user?.id).not.toBe(id);
    });

    it("does not know it either when the call was called off", async () => {
      const repository = await create();
      const signal = AbortSignal.abort(new Error("called off"));
      await expect(repository.create([requested("ada@example.com")], scopeOf({ signal }))).rejects.toThrow(
        "called off",
      );
      const other = requested("bob@example.com", { fingerprint: "of other content" });
      expect(await repository.create([other], SCOPE)).toMatchObject([{ email: "bob@example.com" }]);
    });

    it("still knows what it knew before", async () => {
      const repository = await create();
      const known = requested("ada@example.com");
      const [user] = await repository.create([known], SCOPE);
      await errorOf(repository.create([known, draft("ada@example.com")], SCOPE));
      expect(await repository.create([known], SCOPE)).toEqual([user]);
    });
  });

  describe(`${name}.create, when time goes by`, () => {
    it("knows a request for as long as it promises", async () => {
      const advance = stopClock();
      const repository = await create();
      const [user] = await repository.create([requested("ada@example.com")], SCOPE);
      advance(REQUEST_LIFETIME_MS - 1);
      expect(await repository.create([requested("ada@example.com")], SCOPE)).toEqual([user]);
    });

    it("forgets a request after that, and lets its id be used for another content", async () => {
      const advance = stopClock();
      const repository = await create();
      const [user] = await repository.create([requested("ada@example.com")], SCOPE);
      advance(REQUEST_LIFETIME_MS + 1);
      await expect(repository.create([requested("ada@example.com")], SCOPE)).rejects.toThrow(TakenError);
      const other = requested("bob@example.com", { fingerprint: "of other content" });
      const [second] = await repository.create([other], SCOPE);
      expect(await everybody(repository)).toEqual([user, second]);
      advance(REQUEST_LIFETIME_MS - 1);
      expect(await repository.create([other], SCOPE)).toEqual([second]);
    });

    it("counts from the creation, however often the request comes again", async () => {
      const advance = stopClock();
      const repository = await create();
      await repository.create([requested("ada@example.com")], SCOPE);
      for (let half = 0; half < 2; half++) {
        await repository.create([requested("ada@example.com")], SCOPE);
        advance(REQUEST_LIFETIME_MS / 2 + 1);
      }
      await expect(repository.create([requested("ada@example.com")], SCOPE)).rejects.toThrow(TakenError);
    });

    it("forgets each request by itself", async () => {
      const advance = stopClock();
      const repository = await create();
      const requests = ["a", "b", "c"].map((id) => requested(`${id}@example.com`, { id }));
      for (const request of requests) {
        await repository.create([request], SCOPE);
        advance(REQUEST_LIFETIME_MS / 3);
      }
      // The first has expired; the creation of another must not take the others with it.
      await createOne(repository, "d@example.com");
      const outcomes = await outcomesOf(requests.map((request) => repository.create([request], SCOPE)));
      expect(outcomes.results.flat().map(({ email }) => email)).toEqual(["b@example.com", "c@example.com"]);
      expect(outcomes.errors).toMatchObject([{ name: "TakenError", index: 0 }]);
    });
  });
}
