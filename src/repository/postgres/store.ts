import { StoreUnavailableError } from "../../domain/errors.ts";
import type { ChangeRetention } from "../change-log.ts";
import type { ChatRetention, ChatRooms } from "../chat-rooms.ts";
import type { Documents } from "../documents.ts";
import type { Imports } from "../imports.ts";
import type { Presences } from "../presences.ts";
import type { UserRepository } from "../user-repository.ts";
import { PostgresChatRooms } from "./chat-rooms.ts";
import type { Connection } from "./connection.ts";
import { Database, type DatabaseObserver, type DatabaseOptions } from "./database.ts";
import { PostgresDocuments } from "./documents.ts";
import { PostgresImports } from "./imports.ts";
import { isUpToDate, migrate } from "./migrate.ts";
import { PostgresPresences } from "./presences.ts";
import { readSharedKey } from "./shared-key.ts";
import { cleanUp } from "./upkeep.ts";
import { PostgresUserRepository } from "./user-repository.ts";

const UPKEEP_INTERVAL_MS = 60_000;
const LONGEST_UPKEEP_MS = 50_000;

/** How a store is opened. */
export interface StoreOptions extends DatabaseOptions {
  readonly retention: ChangeRetention;
  readonly chatRetention: ChatRetention;
}

/** Is told what becomes of the store. */
export interface StoreObserver extends DatabaseObserver {
  /** What is no longer kept could not be deleted; that is tried again later. */
  onUpkeepFailed(cause: unknown): void;
}

/** What is kept in a PostgreSQL database, with what this process does to keep it in order. */
export interface Store {
  readonly users: UserRepository;
  readonly rooms: ChatRooms;
  readonly presences: Presences;
  readonly documents: Documents;
  readonly imports: Imports;
  /**
   * The key that all replicas share.
   *
   * @throws StoreUnavailableError until the database has been found for the first time.
   */
  sharedKey(): Uint8Array;
  close(): Promise<void>;
}

/** Opens a store. The database need not be there yet: its tables are brought up to date as soon as it is found. */
export function openStore({ retention, chatRetention, ...options }: StoreOptions, observer: StoreObserver): Store {
  const database = new Database(options);
  let key: Uint8Array | undefined;
  const closing = new AbortController();
  const upkeep = setInterval(() => {
    // Less than the time to the next, so that there is never more than one.
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(LONGEST_UPKEEP_MS)]);
    cleanUp(
      database,
      { changes: retention, texts: chatRetention },
      { signal, timeoutMs: () => LONGEST_UPKEEP_MS },
    ).catch((error: unknown) => {
      if (!(error instanceof StoreUnavailableError || closing.signal.aborted)) observer.onUpkeepFailed(error);
    });
  }, UPKEEP_INTERVAL_MS).unref();

  async function prepare(connection: Connection, signal: AbortSignal): Promise<void> {
    // As at nearly every start, and where replicas find the database again at the same time.
    if (!(await isUpToDate(connection))) await migrate(options.url, signal);
    key = await readSharedKey(connection);
  }
  database.open(prepare, observer);
  return {
    users: new PostgresUserRepository(database),
    rooms: new PostgresChatRooms(database),
    presences: new PostgresPresences(database),
    documents: new PostgresDocuments(database),
    imports: new PostgresImports(database),
    sharedKey() {
      if (key === undefined) throw new StoreUnavailableError("the database is not available");
      return key;
    },
    async close() {
      clearInterval(upkeep);
      closing.abort();
      await database.close();
    },
  };
}
