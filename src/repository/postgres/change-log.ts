import { ChangesExpiredError } from "../../domain/errors.ts";
import type { Change, ChangeLog } from "../change-log.ts";
import type { Cancellable } from "../scope.ts";
import type { Database } from "./database.ts";
import type { Statement } from "./session.ts";
import { toMs } from "./user-rows.ts";

const LATEST: Statement = {
  name: "latest_revision",
  text: `SELECT greatest(expired_through, (SELECT max(revision) FROM changes)) AS revision FROM change_log`,
};
/** One row for each change, or one without a change; each says up to where changes are no longer kept. */
const LIST: Statement = {
  name: "list_changes",
  text: `SELECT expired_through, revision, user_id, kind, ${toMs("changed_at")} AS changed_at
    FROM change_log LEFT JOIN LATERAL (
      SELECT * FROM changes WHERE revision > $1 ORDER BY revision LIMIT $2
    ) AS page ON true ORDER BY revision`,
};

interface ChangeRow {
  readonly expired_through: number;
  readonly revision: number | null;
  readonly user_id: string;
  readonly kind: Change["kind"];
  readonly changed_at: number;
}

/** Reads the change log in PostgreSQL, which the triggers of the table of users write. */
export class PostgresChangeLog implements ChangeLog {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async latest(scope: Cancellable): Promise<number> {
    const [row] = await this.#database.read<{ revision: number }>(LATEST, [], scope);
    return row?.revision ?? 0;
  }

  async list(page: { readonly after: number; readonly limit: number }, scope: Cancellable): Promise<Change[]> {
    const rows = await this.#database.read<ChangeRow>(LIST, [page.after, page.limit], scope);
    if (page.after < (rows[0]?.expired_through ?? 0)) throw new ChangesExpiredError();
    return rows.flatMap(({ revision, user_id: userId, kind, changed_at: changedAt }) =>
      revision === null ? [] : [{ revision, userId, kind, changedAt }],
    );
  }
}
