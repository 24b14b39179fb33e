import { randomBytes } from "node:crypto";
import type { Connection } from "./connection.ts";

const KEY_BYTES = 32;

/** The key that all replicas on a database share: made once, by whichever asks first, and kept in the database. */
export async function readSharedKey(connection: Connection): Promise<Uint8Array> {
  const name = "shared-key";
  const made = "INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
  await connection.query(made, [name, randomBytes(KEY_BYTES)]);
  const { rows } = await connection.query<{ value: Buffer }>("SELECT value FROM secrets WHERE name = $1", [name]);
  const [row] = rows;
  if (row === undefined) throw new Error("the shared key is missing");
  return row.value;
}
