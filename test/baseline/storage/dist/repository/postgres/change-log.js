import { ChangesExpiredError } from "../../domain/errors.js";
import { toMs } from "./user-rows.js";
const LATEST = {
    name: "latest_revision",
    text: `SELECT greatest(expired_through, (SELECT max(revision) FROM changes)) AS revision FROM change_log`,
};
const LIST = {
    name: "list_changes",
    text: `SELECT expired_through, revision, user_id, kind, ${toMs("changed_at")} AS changed_at
    FROM change_log LEFT JOIN LATERAL (
      SELECT * FROM changes WHERE revision > $1 ORDER BY revision LIMIT $2
    ) AS page ON true ORDER BY revision`,
};
export class PostgresChangeLog {
    #database;
    constructor(database) {
        this.#database = database;
    }
    async latest(scope) {
        const [row] = await this.#database.read(LATEST, [], scope);
        return row?.revision ?? 0;
    }
    async list(page, scope) {
        const rows = await this.#database.read(LIST, [page.after, page.limit], scope);
        if (page.after < (rows[0]?.expired_through ?? 0))
            throw new ChangesExpiredError();
        return rows.flatMap(({ revision, user_id: userId, kind, changed_at: changedAt }) => revision === null ? [] : [{ revision, userId, kind, changedAt }]);
    }
}
