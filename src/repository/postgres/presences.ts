import type { Presence, Presences } from "../presences.ts";
import type { Cancellable } from "../scope.ts";
import type { Database } from "./database.ts";
import type { Statement } from "./session.ts";
import { toStorable } from "./texts.ts";

const SHOW: Statement = {
  name: "show_presences",
  // In an order that all replicas share, so that they wait for each other, and not in a circle.
  text: `INSERT INTO presences (session, topic, user_id, detail, expires_at)
    SELECT session, topic, user_id, detail, clock_timestamp() + $5 * interval '1 ms'
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS row (session, topic, user_id, detail) ORDER BY session
    ON CONFLICT (session) DO UPDATE SET detail = excluded.detail, expires_at = excluded.expires_at`,
};
const REMOVE: Statement = { name: "remove_presences", text: "DELETE FROM presences WHERE session = ANY ($1)" };
const LIST: Statement = {
  name: "list_presences",
  text: `SELECT topic, session, user_id, detail FROM presences
    WHERE topic = $1 AND expires_at > clock_timestamp() ORDER BY session`,
};

interface PresenceRow extends Pick<Presence, "topic" | "session" | "detail"> {
  readonly user_id: string;
}

/** Keeps presences in PostgreSQL, for all replicas. */
export class PostgresPresences implements Presences {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async show(presences: readonly Presence[], lifetimeMs: number, scope: Cancellable): Promise<void> {
    if (presences.length === 0) return;
    const columns = [
      presences.map(({ session }) => session),
      presences.map(({ topic }) => topic),
      presences.map(({ userId }) => toStorable(userId)),
      presences.map(({ detail }) => detail),
    ];
    await this.#database.write(scope, (session) => session.query(SHOW, [...columns, lifetimeMs]));
  }

  async remove(sessions: readonly string[], scope: Cancellable): Promise<void> {
    if (sessions.length === 0) return;
    await this.#database.write(scope, (session) => session.query(REMOVE, [sessions]));
  }

  async list(topic: string, scope: Cancellable): Promise<Presence[]> {
    const rows = await this.#database.read<PresenceRow>(LIST, [topic], scope);
    return rows.map(({ user_id: userId, ...row }) => ({ ...row, userId }));
  }
}
