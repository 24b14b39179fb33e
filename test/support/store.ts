import { afterAll, onTestFinished } from "vitest";
import type { Documents } from "../../src/repository/documents.ts";
import type { Imports } from "../../src/repository/imports.ts";
import { Database } from "../../src/repository/postgres/database.ts";
import { openStore, type Store } from "../../src/repository/postgres/store.ts";
import type { Presences } from "../../src/repository/presences.ts";
import type { UserRepository } from "../../src/repository/user-repository.ts";
import { createDatabase, query, type TestDatabase } from "./database.ts";

/** Users in a PostgreSQL database that nobody else uses. */
export interface TestStore {
  readonly url: string;
  readonly users: UserRepository;
  readonly documents: Documents;
  readonly presences: Presences;
  readonly imports: Imports;
  /** The database as a replica uses it that does nothing but clean up. It stays open as long as the store. */
  upkeep(): Promise<Database>;
}

/** A store that is lent to one test after the other. */
interface Lent {
  readonly database: TestDatabase;
  readonly store: Store;
  upkeep?: Promise<Database>;
}

/**
 * Makes a database of the service as empty as a new one. The changes go after the users, whose triggers note that these
 * go. Takes less time than TRUNCATE for so few rows.
 */
export const EMPTY = `BEGIN; LOCK users; SET CONSTRAINTS ALL IMMEDIATE;
  DELETE FROM users; DELETE FROM changes; DELETE FROM creation_requests; DELETE FROM audit_records;
  DELETE FROM chat_texts; DELETE FROM chat_rooms; DELETE FROM chat_erased_authors; DELETE FROM presences;
  DELETE FROM document_operations; DELETE FROM documents;
  DELETE FROM uploads;
  UPDATE change_log SET expired_through = 0; SELECT setval('changes_revision_seq', 1, false); COMMIT`;

/**
 * Opens a store on a database, as each replica does, and returns it once it serves calls; fails if the first attempt to find
 * the database does.
 */
export async function openFound(url: string, open = openStore): Promise<Store> {
  const { promise: found, resolve: onFound, reject: onLost } = Promise.withResolvers<void>();
  const retention = { maxCount: 1_000_000, maxAgeMs: 3_600_000 };
  const store = open(
    { url, poolSize: 10, retention, chatRetention: retention },
    { onFound, onLost, onUpkeepFailed: onLost },
  );
  await found;
  return store;
}

/** Opens a database as a replica of the service uses it, and returns it once it serves. The caller closes it. */
export async function openDatabase(url: string): Promise<Database> {
  const database = new Database({ url, poolSize: 4 });
  const { promise: found, resolve: onFound, reject: onLost } = Promise.withResolvers<void>();
  database.open(async () => {}, { onFound, onLost });
  await found;
  return database;
}

/**
 * Returns what gives a test an empty store: one that an earlier test had, or a new one, which takes twenty times as long.
 * To be called where tests are collected; after the last of them, all stores are closed.
 */
export function testStores(
  openAt: (url: string) => Promise<Store> = (url) => openFound(url),
): () => Promise<TestStore> {
  const opened = new Set<Lent>();
  const idle: Lent[] = [];
  afterAll(() => Promise.all([...opened].map(close)));
  return async () => {
    const lent = idle.pop() ?? (await open(openAt));
    opened.add(lent);
    const calls = { open: 0 };
    const users = watch(lent.store.users, calls);
    const imports = watch(lent.store.imports, calls);
    onTestFinished(async ({ task }) => {
      // Nobody else gets a store that is not known to be left alone: a call may yet write that nobody has waited for.
      if (calls.open > 0 || task.result?.state === "fail") return;
      await query(lent.database.url, EMPTY);
      idle.push(lent);
    });
    const { url } = lent.database;
    const { documents, presences } = lent.store;
    return { url, users, documents, presences, imports, upkeep: () => (lent.upkeep ??= openDatabase(url)) };
  };
}

async function open(openAt: (url: string) => Promise<Store>): Promise<Lent> {
  const database = await createDatabase();
  return { database, store: await openAt(database.url) };
}

async function close({ database, store, upkeep }: Lent): Promise<void> {
  await Promise.all([store.close(), upkeep?.then((opened) => opened.close())]);
  await database.drop();
}

/** The same repository, of which calls that are not over are counted. */
function watch<T extends object>(repository: T, calls: { open: number }): T {
  return new Proxy(repository, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return async (...args: readonly unknown[]) => {
        calls.open++;
        try {
          return await member.apply(target, args);
        } finally {
          calls.open--;
        }
      };
    },
  });
}
