import type { ChatRetention } from "../chat-rooms.ts";
import type { Cancellable } from "../scope.ts";
import type { Database } from "./database.ts";
import { repeat } from "./repeat.ts";
import type { Statement } from "./session.ts";

/** So many texts go at a time, so that nobody waits long for a room. */
const SLICE = 1000;

/**
 * Deletes the texts up to `through` of the rooms in `due`, and notes how far they have gone. They go from the first on,
 * so that what is left has no gaps. A room in which somebody posts now is left for later.
 */
function forget(name: string, due: string): Statement {
  const text = `WITH due AS (${due}), gone AS (
      DELETE FROM chat_texts USING due WHERE room = due.name AND sequence <= through
    ), noted AS (
      UPDATE chat_rooms SET kept_from = greatest(kept_from, through + 1) FROM due WHERE chat_rooms.name = due.name
    )
    SELECT name FROM due`;
  return { name, text };
}

// A room that is locked is read as it is now, but its texts as they were when the statement began: what has been posted
// in between is not seen, and is left for later.
const FORGET_SURPLUS = forget(
  "forget_surplus_texts",
  `SELECT name, least(
    last_sequence - $1, kept_from + ${SLICE},
    (SELECT coalesce(max(sequence), 0) FROM chat_texts WHERE room = name)
  ) AS through FROM chat_rooms
  WHERE last_sequence - kept_from >= $1 LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED`,
);

const FORGET_OLD = forget(
  "forget_old_texts",
  `SELECT name, through FROM chat_rooms JOIN (
    SELECT room, max(sequence) AS through FROM (
      SELECT room, sequence FROM chat_texts WHERE posted_at < statement_timestamp() - $1 * interval '1 ms'
      ORDER BY posted_at LIMIT ${SLICE}
    ) AS old GROUP BY room
  ) AS oldest ON name = room FOR NO KEY UPDATE OF chat_rooms SKIP LOCKED`,
);

/** The words of users who have been deleted, as far as they have not gone with them. */
const ERASE: Statement = {
  name: "erase_texts",
  text: `UPDATE chat_texts SET text = '' WHERE (room, sequence) IN (
      SELECT room, sequence FROM chat_erased_authors JOIN chat_texts USING (user_id) WHERE text <> ''
      LIMIT ${SLICE} FOR UPDATE OF chat_texts SKIP LOCKED
    ) RETURNING sequence`,
};

/**
 * Forgets texts that are no longer kept, and words that nobody reads any more. Any number of replicas may do it at
 * once.
 */
export async function forgetTexts(
  database: Database,
  { maxCount, maxAgeMs }: ChatRetention,
  scope: Cancellable,
): Promise<void> {
  await repeat(database, FORGET_SURPLUS, [maxCount], scope);
  await repeat(database, FORGET_OLD, [maxAgeMs], scope);
  await repeat(database, ERASE, [], scope);
}
