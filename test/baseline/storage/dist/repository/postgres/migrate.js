import { fileURLToPath } from "node:url";
import { runner } from "node-pg-migrate";
const MIGRATIONS = fileURLToPath(new URL("../../../migrations", import.meta.url));
const MIGRATIONS_TABLE = "migrations";
export async function migrate(url) {
    const applied = await runner({
        databaseUrl: { connectionString: url, application_name: "user-service migrate", connectionTimeoutMillis: 5000 },
        dir: MIGRATIONS,
        direction: "up",
        migrationsTable: MIGRATIONS_TABLE,
        advisoryLockMode: "wait",
        log: () => { },
    });
    return applied.map(({ name }) => name);
}
