import { setImmediate } from "node:timers/promises";
import { expect } from "vitest";
import { BLANK_USER, draftUser, type User, type UserDraft, type UserFields } from "../../../src/domain/user.ts";
import type { ChangeRetention } from "../../../src/repository/change-log.ts";
import type { Cancellable, WriteScope } from "../../../src/repository/scope.ts";
import type { UserRepository } from "../../../src/repository/user-repository.ts";
import { FULL } from "../../support/full.ts";

/** A retention under which nothing is forgotten while a test runs. */
export const RETENTION: ChangeRetention = { maxCount: 1_000_000, maxAgeMs: 3_600_000 };

/** A call that nobody calls off. */
export const SCOPE: WriteScope = { signal: new AbortController().signal, author: { id: "root", role: "admin" } };

/** A call that somebody may call off. */
export function scopeOf({ signal }: Cancellable): WriteScope {
  return { ...SCOPE, signal };
}

/** How many calls race each other: in the short form, twice as many as a store has connections. */
export const RACERS = FULL ? 200 : 20;

/** Texts that a store could be tempted to change or to refuse. */
export const ODD_TEXTS = ["  two  spaces  ", "O'Brien; --", "\\N", "e\u0301", "\u00e9", "😀", "\u202e"];

/** All that a user can have, and none of it as a user has it of whom nothing is said. */
export const FULL_USER: UserFields = {
  email: "Ada@Example.com",
  name: "Ada Lovelace",
  role: "admin",
  status: "suspended",
  username: "Ada.L",
  age: 36,
  tags: ["second", "first"],
  metadata: [
    ["a", "1"],
    ["aa", ""],
    ["b", "{}"],
  ],
  contact: { kind: "slackId", value: "U0ADA" },
  profile: { bio: "Poetical\nscience", avatarUrl: "https://example.com/ada.png" },
};

/** A draft that says nothing but this. */
export function draft(email: string, fields: Partial<UserFields> = {}): UserDraft {
  return draftUser({ ...BLANK_USER, name: "a name", ...fields, email });
}

/** `count` drafts, none like another. */
export function drafts(count: number, prefix = "user"): UserDraft[] {
  return Array.from({ length: count }, (_, index) =>
    draft(`${prefix}${index}@example.com`, { name: `${prefix} ${index}` }),
  );
}

/** What a user is to become who stays the same but for `fields`: to be used as the change of an update. */
export function changed(fields: Partial<UserFields>): (user: User) => UserDraft {
  return (user) => draftUser({ ...user, ...fields });
}

/** The ids of users, in their order. */
export function idsOf(users: readonly User[]): string[] {
  return users.map(({ id }) => id);
}

/** Everybody there is, in ascending order of id. */
export function everybody(repository: UserRepository): Promise<User[]> {
  return repository.list({ after: undefined, limit: 1_000_000 }, SCOPE);
}

/** Creates a user who has this e-mail address, and for the rest nothing but `fields`. */
export async function createOne(
  repository: UserRepository,
  email: string,
  fields: Partial<UserFields> = {},
): Promise<User> {
  const [user] = await repository.create([draft(email, fields)], SCOPE);
  return user ?? expect.fail("no user was created");
}

/** What a call that must fail fails with. */
export function errorOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => expect.fail("the call succeeded"),
    (reason: unknown) => reason,
  );
}

/** The results of the calls that succeed, and the errors of the others. */
export async function outcomesOf<T>(calls: readonly Promise<T>[]): Promise<{ results: T[]; errors: unknown[] }> {
  const settled = await Promise.allSettled(calls);
  return {
    results: settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : [])),
    errors: settled.flatMap((one) => (one.status === "rejected" ? [one.reason] : [])),
  };
}

/**
 * Makes calls one by one, and calls each off a little later after its beginning than the one before, until some come off
 * all the same. Yields how each ends.
 */
export async function* callOffLaterAndLater<T>(
  call: (scope: WriteScope, index: number) => Promise<T>,
  reason: Error,
): AsyncGenerator<PromiseSettledResult<T>> {
  let turns = 0;
  for (let index = 0, completed = 0; completed < 3; index++) {
    const controller = new AbortController();
    const settled = Promise.allSettled([call(scopeOf(controller), index)]);
    for (let turn = 0; turn < turns; turn++) await setImmediate();
    controller.abort(reason);
    const [outcome] = await settled;
    if (outcome.status === "fulfilled") completed++;
    turns += 1 + (turns >> 3);
    yield outcome;
  }
}
