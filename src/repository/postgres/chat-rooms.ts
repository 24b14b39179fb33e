import { type ChatRooms, type NewText, type RoomText, textKey } from "../chat-rooms.ts";
import type { Cancellable } from "../scope.ts";
import { committed, type Database } from "./database.ts";
import type { Session, Statement } from "./session.ts";
import { toStorable } from "./texts.ts";
import { toMs } from "./user-rows.ts";

const CREATE: Statement = {
  name: "create_chat_room",
  text: "INSERT INTO chat_rooms (name, last_sequence) VALUES ($1, 0) ON CONFLICT (name) DO NOTHING",
};
/** Until the transaction ends, nobody else posts in the room. */
const LOCK: Statement = {
  name: "lock_chat_room",
  text: "SELECT last_sequence FROM chat_rooms WHERE name = $1 FOR NO KEY UPDATE",
};
const KNOWN: Statement = {
  name: "known_chat_texts",
  text: `SELECT user_id, client_message_id, sequence FROM chat_texts
    JOIN unnest($2::text[], $3::text[]) AS row (user_id, client_message_id) USING (user_id, client_message_id)
    WHERE room = $1`,
};
const INSERT: Statement = {
  name: "insert_chat_texts",
  text: `WITH posted AS (
      INSERT INTO chat_texts (room, sequence, user_id, text, client_message_id, posted_at)
      SELECT $1, sequence, user_id, text, nullif(client_message_id, ''), clock_timestamp()
      FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[]) AS row (sequence, user_id, text, client_message_id)
    )
    UPDATE chat_rooms SET last_sequence = $2 WHERE name = $1`,
};
const LATEST: Statement = { name: "latest_chat_text", text: "SELECT last_sequence FROM chat_rooms WHERE name = $1" };
const LIST: Statement = {
  name: "list_chat_texts",
  text: `SELECT sequence, user_id, CASE WHEN erased.user_id IS NULL THEN text ELSE '' END AS text,
      coalesce(client_message_id, '') AS client_message_id, ${toMs("posted_at")} AS posted_at
    FROM (SELECT * FROM chat_texts WHERE room = $1 AND sequence > $2 ORDER BY sequence LIMIT $3) AS page
    LEFT JOIN chat_erased_authors AS erased USING (user_id) ORDER BY sequence`,
};

interface KnownRow {
  readonly user_id: string;
  readonly client_message_id: string;
  readonly sequence: number;
}

interface TextRow extends KnownRow {
  readonly text: string;
  readonly posted_at: number;
}

/** Keeps what is said in rooms in PostgreSQL, for all replicas. */
export class PostgresChatRooms implements ChatRooms {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async post(room: string, texts: readonly NewText[], scope: Cancellable): Promise<number[]> {
    const storable = texts.map((text) => ({ ...text, userId: toStorable(text.userId) }));
    return committed(await this.#database.write(scope, (session) => postTexts(session, room, storable)));
  }

  async latest(room: string, scope: Cancellable): Promise<number> {
    const [row] = await this.#database.read<{ last_sequence: number }>(LATEST, [room], scope);
    return row?.last_sequence ?? 0;
  }

  async list(
    room: string,
    { after, limit }: { readonly after: number; readonly limit: number },
    scope: Cancellable,
  ): Promise<RoomText[]> {
    const rows = await this.#database.read<TextRow>(LIST, [room, after, limit], scope);
    return rows.map(({ user_id: userId, client_message_id: clientMessageId, posted_at: postedAt, ...row }) => ({
      ...row,
      userId,
      clientMessageId,
      postedAt,
    }));
  }
}

async function postTexts(session: Session, room: string, texts: readonly NewText[]): Promise<number[]> {
  let last = await lockRoom(session, room);
  const known = await findKnown(session, room, texts);
  const posted: (NewText & { readonly sequence: number })[] = [];
  const sequences = texts.map((text) => {
    const earlier = text.clientMessageId === "" ? undefined : known.get(textKey(text));
    if (earlier !== undefined) return earlier;
    last++;
    posted.push({ ...text, sequence: last });
    known.set(textKey(text), last);
    return last;
  });
  if (posted.length > 0) {
    await session.query(INSERT, [
      room,
      last,
      posted.map(({ sequence }) => sequence),
      posted.map(({ userId }) => userId),
      posted.map(({ text }) => text),
      posted.map(({ clientMessageId }) => clientMessageId),
    ]);
  }
  return sequences;
}

/** Locks a room, which is made if it is new, and returns the sequence of its last text. */
async function lockRoom(session: Session, room: string): Promise<number> {
  const lock = () => session.query<{ last_sequence: number }>(LOCK, [room]);
  const [known] = await lock();
  if (known !== undefined) return known.last_sequence;
  await session.query(CREATE, [room]);
  const [created] = await lock();
  return created?.last_sequence ?? 0;
}

/** The sequences of those texts that have been posted before. */
async function findKnown(session: Session, room: string, texts: readonly NewText[]): Promise<Map<string, number>> {
  const named = texts.filter(({ clientMessageId }) => clientMessageId !== "");
  if (named.length === 0) return new Map();
  const users = named.map(({ userId }) => userId);
  const ids = named.map(({ clientMessageId }) => clientMessageId);
  const rows = await session.query<KnownRow>(KNOWN, [room, users, ids]);
  return new Map(
    rows.map((row) => [textKey({ userId: row.user_id, clientMessageId: row.client_message_id }), row.sequence]),
  );
}
