import { StoreUnavailableError } from "../../domain/errors.js";
import { Database } from "./database.js";
import { migrate } from "./migrate.js";
import { readSharedKey } from "./shared-key.js";
import { cleanUp } from "./upkeep.js";
import { PostgresUserRepository } from "./user-repository.js";
const UPKEEP_INTERVAL_MS = 60_000;
export function openStore({ retention, ...options }, observer) {
    const database = new Database(options);
    let key;
    const closing = new AbortController();
    const upkeep = setInterval(() => {
        cleanUp(database, retention, closing).catch((error) => {
            if (!(error instanceof StoreUnavailableError || closing.signal.aborted))
                observer.onUpkeepFailed(error);
        });
    }, UPKEEP_INTERVAL_MS).unref();
    async function prepare(connection) {
        await migrate(options.url);
        key = await readSharedKey(connection);
    }
    database.open(prepare, observer);
    return {
        users: new PostgresUserRepository(database),
        sharedKey() {
            if (key === undefined)
                throw new StoreUnavailableError("the database is not available");
            return key;
        },
        async close() {
            clearInterval(upkeep);
            closing.abort();
            await database.close();
        },
    };
}
