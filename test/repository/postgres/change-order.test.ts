import { describe, expect, it } from "vitest";
import { UserNotFoundError } from "../../../src/domain/errors.ts";
import type { Change, ChangeKind, ChangeLog } from "../../../src/repository/change-log.ts";
import type { UserRepository } from "../../../src/repository/user-repository.ts";
import { freshDatabase, query } from "../../support/database.ts";
import { FULL } from "../../support/full.ts";
import { chooseSeed, Random } from "../../support/random.ts";
import { changed, drafts, SCOPE } from "../suite/drafts.ts";
import { servingStore } from "./serving-store.ts";

const CHANGES = FULL ? 100_000 : 250;
const REPLICAS = 2;
const WRITERS = 16;
/** So few users are changed, all by all writers, that these meet all the time. */
const HOT_USERS = 8;
const LARGEST_BATCH = 20;
const LARGEST_PAGE = 50;

describe("the change log of a database that 16 writers write through two replicas", () => {
  it("shows every change to those who follow it, once, in the order in which it took effect", async () => {
    const seed = chooseSeed();
    const url = await freshDatabase();
    const stores = await Promise.all(Array.from({ length: REPLICAS }, () => servingStore(url)));
    const history = new History();
    const writers = Array.from({ length: WRITERS }, (_, index) => {
      const { users } = stores[index % REPLICAS] ?? expect.fail("there is no store");
      return write(users, history, new Random(seed + index));
    });
    let written = false;
    const readers = stores.map(({ users }, index) =>
      follow(users.changes, new Random(seed + WRITERS + index), () => written),
    );
    await Promise.all(writers);
    written = true;

    const log = await query<LoggedChange>(url, "SELECT revision::int, user_id, kind FROM changes ORDER BY revision");
    for (const changes of await Promise.all(readers)) {
      const read = changes.map(({ revision, userId, kind }) => ({ revision, user_id: userId, kind }));
      expect(read, `SEED=${seed}`).toEqual(log);
    }
    const byUser = Map.groupBy(log, ({ user_id }) => user_id);
    for (const [id, changes] of byUser) {
      expect(changes.map(({ kind }) => kind).join(" "), `SEED=${seed}, user ${id}`).toMatch(
        /^created( updated)*( deleted)?$/,
      );
    }
    const effects = history.operations.flatMap((operation) => operation.effects);
    expect(log, `SEED=${seed}`).toHaveLength(effects.length);
    expect(new Set(effects.map((effect) => revisionOf(effect, byUser))), `SEED=${seed}`).toEqual(
      new Set(log.map(({ revision }) => revision)),
    );
    expect(
      history.operationsOutOfOrder((effect) => revisionOf(effect, byUser)),
      `SEED=${seed}`,
    ).toEqual([]);
  });
});

/** A row of the log. */
interface LoggedChange {
  readonly revision: number;
  readonly user_id: string;
  readonly kind: ChangeKind;
}

/** What an operation did to a user: `version` is that which the user has since, or "deleted". */
interface Effect {
  readonly userId: string;
  readonly version: number | "deleted";
}

/** An operation that has been answered. Begin and answer are moments of one clock for all. */
interface Operation {
  readonly begun: number;
  readonly answered: number;
  readonly effects: readonly Effect[];
}

/** What writers have done, and the users that they go on with. */
class History {
  readonly operations: Operation[] = [];
  /** Who can be changed. Some may have been deleted meanwhile. */
  readonly hot: string[] = [];
  #clock = 0;
  #changes = 0;

  get isLongEnough(): boolean {
    return this.#changes >= CHANGES;
  }

  /** Carries out an operation that returns what it did. */
  async carryOut(operation: () => Promise<Effect[]>): Promise<void> {
    const begun = this.#clock++;
    const effects = await operation();
    this.operations.push({ begun, answered: this.#clock++, effects });
    this.#changes += effects.length;
  }

  /** The operations with a revision that is not greater than one of an operation that had been answered when they began. */
  operationsOutOfOrder(revisionOf: (effect: Effect) => number): Operation[] {
    const effective = this.operations.filter(({ effects }) => effects.length > 0);
    const moments = effective.flatMap((operation) => {
      const revisions = operation.effects.map(revisionOf);
      const begin = { at: operation.begun, operation, lowest: Math.min(...revisions), reached: 0 };
      const answer = { at: operation.answered, operation, lowest: Infinity, reached: Math.max(...revisions) };
      return [begin, answer];
    });
    let reached = 0;
    const outOfOrder: Operation[] = [];
    for (const moment of moments.toSorted((one, other) => one.at - other.at)) {
      if (moment.lowest <= reached) outOfOrder.push(moment.operation);
      reached = Math.max(reached, moment.reached);
    }
    return outOfOrder;
  }
}

/** Does one thing after the other, until there are enough changes. */
async function write(users: UserRepository, history: History, random: Random): Promise<void> {
  const { hot } = history;
  while (!history.isLongEnough) {
    const id = hot[random.between(0, hot.length - 1)];
    const dice = random.next();
    if (id === undefined || hot.length < HOT_USERS || dice < 0.15) await history.carryOut(() => create(1));
    else if (dice < 0.2) await history.carryOut(() => create(random.between(2, LARGEST_BATCH)));
    else if (dice < 0.85) await history.carryOut(() => unlessGone(update(id)));
    else await history.carryOut(() => unlessGone(remove(id)));
  }

  async function create(count: number): Promise<Effect[]> {
    const created = await users.create(drafts(count, `user${random.next()}-`), SCOPE);
    for (const { id } of created.slice(0, HOT_USERS)) {
      if (hot.length < HOT_USERS) hot.push(id);
      else hot[random.between(0, HOT_USERS - 1)] = id;
    }
    return created.map(({ id: userId, version }) => ({ userId, version }));
  }

  async function update(userId: string): Promise<Effect[]> {
    const { version } = await users.update(userId, changed({ name: `name ${random.next()}` }), SCOPE);
    return [{ userId, version }];
  }

  async function remove(userId: string): Promise<Effect[]> {
    await users.delete(userId, () => {}, SCOPE);
    const index = hot.indexOf(userId);
    if (index >= 0) hot.splice(index, 1);
    return [{ userId, version: "deleted" }];
  }
}

/** What an operation did; nothing if somebody else had deleted the user. */
async function unlessGone(operation: Promise<Effect[]>): Promise<Effect[]> {
  try {
    return await operation;
  } catch (error) {
    if (error instanceof UserNotFoundError) return [];
    throw error;
  }
}

/** Reads a log from its beginning, page by page, until nothing more is to come. */
async function follow(log: ChangeLog, random: Random, isComplete: () => boolean): Promise<Change[]> {
  const changes: Change[] = [];
  for (;;) {
    const last = isComplete();
    const after = changes.at(-1)?.revision ?? 0;
    const page = await log.list({ after, limit: random.between(1, LARGEST_PAGE) }, SCOPE);
    changes.push(...page);
    if (last && page.length === 0) return changes;
  }
}

/** Where the log has what an operation did: a user who is created has version 1, and each update counts one up. */
function revisionOf({ userId, version }: Effect, log: ReadonlyMap<string, readonly LoggedChange[]>): number {
  const change = log.get(userId)?.at(version === "deleted" ? -1 : version - 1);
  return change?.revision ?? expect.fail(`the log has no version ${version} of user ${userId}`);
}
