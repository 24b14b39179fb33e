import { Client } from "pg";
import type { PostgresServer } from "../../support/postgres.ts";
import { type CallEnd, OK } from "./call-end.ts";
import type { Load } from "./load.ts";
import { holdLock, LOCKS } from "./statements.ts";

/** What a fault happens to. */
export interface Scene {
  readonly postgres: PostgresServer;
  /** The database that the service uses. */
  readonly database: string;
  readonly load: Load;
}

/** Something that happens to a database: begins, lasts until every client has felt it, and ends. */
export type Fault = (scene: Scene) => Promise<void>;

/** How long calls may take that PostgreSQL keeps waiting, because nothing but their deadline ends them. */
const SHORT_TIMEOUT_MS = 1000;

/** Every fault, by its name. */
export const FAULTS: Readonly<Record<string, Fault>> = {
  async crash({ postgres, load }) {
    await postgres.stop("immediate");
    await load.until(isFailure);
    await postgres.start();
  },

  async stop({ postgres, load }) {
    await postgres.stop("fast");
    await load.until(isFailure);
    await postgres.start();
  },

  async freeze({ postgres, load }) {
    postgres.freeze();
    await load.until(isFailure);
    postgres.thaw();
  },

  async "no connection left"({ postgres, load }) {
    const others = await takeAllConnections(postgres);
    await load.until(isFailure);
    await Promise.all(others.map((client) => client.end()));
  },

  async "all connections wait for a lock"({ database, load }) {
    const { timeoutMs } = load;
    load.timeoutMs = SHORT_TIMEOUT_MS;
    // Until no call is under way that has more time.
    await load.until(() => true);
    const lock = await holdLock(database, LOCKS.writes);
    await load.until(isFailure);
    await lock.release();
    load.timeoutMs = timeoutMs;
  },
};

/** Whether a call ended with OK. */
export function isSuccess({ code }: CallEnd): boolean {
  return code === OK.code;
}

function isFailure(end: CallEnd): boolean {
  return !isSuccess(end);
}

/** Takes every connection that a server has to give, those of the service too. */
async function takeAllConnections(postgres: PostgresServer): Promise<Client[]> {
  const taken: Client[] = [];
  let full = false;
  while (!full) {
    const client = new Client({ connectionString: postgres.url() });
    client.on("error", () => {});
    try {
      await client.connect();
      taken.push(client);
    } catch {
      const disconnected = await taken[0]?.query(DISCONNECT);
      full = disconnected?.rowCount === 0;
    }
  }
  return taken;
}

const DISCONNECT = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE application_name = 'user-service' AND backend_type = 'client backend'`;
