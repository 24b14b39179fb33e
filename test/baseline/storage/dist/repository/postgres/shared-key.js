import { randomBytes } from "node:crypto";
const KEY_BYTES = 32;
export async function readSharedKey(connection) {
    const name = "page-token-key";
    const made = "INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    await connection.query(made, [name, randomBytes(KEY_BYTES)]);
    const { rows } = await connection.query("SELECT value FROM secrets WHERE name = $1", [name]);
    const [row] = rows;
    if (row === undefined)
        throw new Error("the shared key is missing");
    return row.value;
}
