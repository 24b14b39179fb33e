import type { Principal } from "../../domain/principal.ts";
import { record, recordsOfCreation } from "./audit.ts";
import type { Session, Statement } from "./session.ts";
import { COLUMN_NAMES, INSERTED_ROWS, type StoredUser, toColumns } from "./user-rows.ts";

const INSERT: Statement = {
  name: "insert_users",
  text: `INSERT INTO users (${COLUMN_NAMES}) ${INSERTED_ROWS}`,
};

/**
 * Before another attempt: transactions that want the same usernames in different orders wait for each other in a
 * circle, and PostgreSQL takes a second to notice (deadlock_timeout), each time.
 */
export const WAIT_IN_TURN: Statement = {
  name: "wait_in_turn",
  text: "SELECT pg_advisory_xact_lock(hashtextextended('creations', 0))",
};

/** So many users go into one statement, which bounds what it takes in memory, and how long it cannot be called off. */
const USERS_PER_INSERT = 1000;

/**
 * Inserts users whom `author` creates, which sorts them, and records what is to be recorded of them.
 *
 * @throws ConflictError if an e-mail address or a username is taken.
 */
export async function insertUsers(users: StoredUser[], session: Session, author: Principal): Promise<void> {
  // In the order of the keys, so that transactions which want the same ones wait for each other, and not in a circle.
  users.sort((one, other) => (one.emailKey < other.emailKey ? -1 : 1));
  for (let start = 0; start < users.length; start += USERS_PER_INSERT) {
    await session.query(INSERT, toColumns(users.slice(start, start + USERS_PER_INSERT)));
  }
  await record(session, author, users.flatMap(recordsOfCreation));
}
