/**
 * What `pg` alone makes of the same table, run as a process of its own with a RawOrder in JSON as its only argument.
 * Prints how many times a second it did what it was told.
 */
import { randomUUID } from "node:crypto";
import pg from "pg";

/** What to do with the table of users, and for how long. */
export interface RawOrder {
  readonly url: string;
  /** That of a scenario. */
  readonly name: string;
  /** How many do it at a time, on a pool of connections. */
  readonly lanes: number;
  readonly poolSize: number;
  readonly seconds: number;
}

const WARM_UP_SECONDS = 1;
/** Users that are in the table, and users per page and per creation. */
const COUNT = 1000;

const INSERT = {
  name: "insert",
  text: `INSERT INTO users (id, version, email, email_key, name, role, status, tags, metadata, created_at, updated_at)
    SELECT id, 1, email, email, name, 'user', 'active', '{}', '{}', now(), now()
    FROM unnest($1::text[], $2::text[], $3::text[]) AS row (id, email, name)`,
};

const order = JSON.parse(process.argv[2] ?? "") as RawOrder;
const pool = new pg.Pool({ connectionString: order.url, max: order.poolSize });
const ids = await createUsers();
const operations: Record<string, () => Promise<unknown>> = {
  GetUser: getUser,
  ListUsers: listUsers,
  CreateUsers: createUsers,
};
const operation = operations[order.name] ?? createUsers;
await run(WARM_UP_SECONDS);
process.stdout.write(JSON.stringify(await run(order.seconds)));
await pool.end();

async function run(seconds: number): Promise<number> {
  const start = performance.now();
  const end = start + seconds * 1000;
  let count = 0;
  const keepOn = async (): Promise<void> => {
    for (; performance.now() < end; count++) await operation();
  };
  await Promise.all(Array.from({ length: order.lanes }, keepOn));
  return (count * 1000) / (performance.now() - start);
}

async function getUser(): Promise<unknown> {
  const text = "SELECT * FROM users WHERE id = $1";
  return (await pool.query({ name: "get", text, values: [ids[COUNT / 2]] })).rows[0];
}

async function listUsers(): Promise<unknown> {
  const text = "SELECT * FROM users WHERE id > $1 ORDER BY id LIMIT $2";
  return (await pool.query({ name: "list", text, values: ["", COUNT + 1] })).rows;
}

async function createUsers(): Promise<string[]> {
  const made = Array.from({ length: COUNT }, () => randomUUID());
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    const values = [made, made.map((id) => `${id}@example.com`), made.map((id) => `User ${id}`)];
    await client.query({ ...INSERT, values });
    await client.query("COMMIT");
    return made;
  } finally {
    client.release();
  }
}
