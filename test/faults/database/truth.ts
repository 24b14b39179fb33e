import { expect } from "vitest";
import { query } from "../../support/database.ts";
import { OK, UNAVAILABLE } from "./call-end.ts";
import type { Load } from "./load.ts";
import type { Creation } from "./load-client.ts";

/**
 * Expects that what clients have been told is true: what was OK has happened, what was UNAVAILABLE has not, and everything else
 * as a whole or not at all.
 */
export async function expectTruth(load: Load, database: string): Promise<void> {
  const names = await namesIn(database);
  const wrong = load.creations.filter((creation) => !isTrue(creation, countCreated(creation, names)));
  expect(wrong, "creations of which a client was told something else").toEqual([]);
  const strange = load.ownUsers.filter((own) => !own.names.has(names.get(own.id) ?? ""));
  expect(strange, "users with a name that they cannot have").toEqual([]);
}

/** Expects what expectTruth does, and that everything has happened that was not UNAVAILABLE. */
export async function expectAllCreated(load: Load, database: string): Promise<void> {
  await expectTruth(load, database);
  const names = await namesIn(database);
  const missing = load.creations.filter((creation) => countCreated(creation, names) === 0);
  expect(missing.filter(({ end }) => end.code !== UNAVAILABLE.code)).toEqual([]);
}

function isTrue({ requests, end: { code } }: Creation, created: number): boolean {
  if (code === OK.code) return created === requests.length;
  if (code === UNAVAILABLE.code) return created === 0;
  return created === 0 || created === requests.length;
}

function countCreated({ requests }: Creation, names: ReadonlyMap<string, string>): number {
  return requests.filter(({ email, name }) => names.get(email) === name).length;
}

/** The names of all users, by their ids and by their addresses. */
async function namesIn(database: string): Promise<Map<string, string>> {
  const users = await query<{ id: string; email: string; name: string }>(database, "SELECT id, email, name FROM users");
  const byId = users.map(({ id, name }) => [id, name] as const);
  return new Map([...byId, ...users.map(({ email, name }) => [email, name] as const)]);
}
