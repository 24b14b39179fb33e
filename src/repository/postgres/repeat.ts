import type { Cancellable } from "../scope.ts";
import type { Database } from "./database.ts";
import type { Statement } from "./session.ts";

/** Executes a statement that does some of a work, each time in a transaction of its own, until it returns no row. */
export async function repeat(
  database: Database,
  statement: Statement,
  values: readonly unknown[],
  scope: Cancellable,
): Promise<void> {
  let done: object[] | undefined;
  do {
    done = await database.write(scope, (session) => session.query(statement, values));
  } while (done !== undefined && done.length > 0);
}
