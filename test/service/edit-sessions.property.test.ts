import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { OperationsExpiredError } from "../../src/domain/errors.ts";
import { lengthOf } from "../../src/domain/text-operation.ts";
import { draftUser, toProfile } from "../../src/domain/user.ts";
import { SCOPE } from "../repository/suite/drafts.ts";
import { createEditing, type Editing } from "../support/editing.ts";
import { Editor } from "../support/editor.ts";
import { FULL } from "../support/full.ts";
import { chooseSeed, Random } from "../support/random.ts";
import { randomOp, randomText } from "../support/text-ops.ts";

const SESSIONS = FULL ? 100_000 : 100;
/** Sessions where few operations are kept, so many that some editor is surely away for longer. */
const EXPIRING = FULL ? 10_000 : 80;
/** So many at a time, so that they interleave, and share the turns of the event loop. */
const AT_ONCE = 50;
/** Within so many turns of the event loop, everything has come back. */
const PATIENCE = 20_000;

/** What has happened in all sessions, to see that they are about something. */
interface Tally {
  own: number;
  others: number;
  snapshots: number;
  resent: number;
}

/** Looks at a document whose editors have sent these operations. */
type Check = (id: string, ids: readonly string[]) => Promise<void>;

/** What somebody does in a moment: types, moves, loses the connection, or waits for others. */
async function act(editor: Editor, random: Random): Promise<void> {
  const chance = random.next();
  if (chance < 0.55) editor.edit(randomOp(random, lengthOf(editor.text)));
  else if (chance < 0.62) editor.move(random.between(0, 20), random.between(0, 20));
  else if (chance < 0.72) await reconnect(editor, random);
  await wait(random.pick([0, 0, 1, 2, 5]));
}

/** What was under way may have been applied by then, or not, or be applied afterwards. */
async function reconnect(editor: Editor, random: Random): Promise<void> {
  const over = editor.disconnect();
  for (let edits = random.pick([0, 1, 3]); edits > 0; edits--) {
    editor.edit(randomOp(random, lengthOf(editor.text)));
    await wait(1);
  }
  if (random.next() < 0.8) await over;
  editor.connect();
}

async function changeBio({ users }: Editing, id: string, random: Random): Promise<void> {
  await wait(random.between(0, 10));
  const bio = randomText(random, random.between(0, 4));
  await users.update(id, (user) => draftUser({ ...user, profile: toProfile({ ...user.profile, bio }) }), SCOPE);
}

async function wait(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await setImmediate();
}

async function bioOf({ users }: Editing, id: string): Promise<string> {
  return (await users.get(id, SCOPE)).profile?.bio ?? "";
}

/** Whether nothing is under way any more. A change of the bio is, until somebody has been told. */
async function isOver(editing: Editing, id: string, editors: readonly Editor[]): Promise<boolean> {
  for (const editor of editors) {
    // Whoever has been away for too long begins anew.
    if (editor.failure instanceof OperationsExpiredError) editor.connect();
    else if (editor.failure !== undefined) throw editor.failure;
  }
  if (!editors.every(({ isSettled }) => isSettled)) return false;
  const latest = await editing.documents.latest(id);
  return editors.every(({ revision }) => revision === latest) && editors[0]?.text === (await bioOf(editing, id));
}

/** What has come back once has been applied once, however often it was sent. */
async function expectEachOnce({ documents }: Editing, id: string, ids: readonly string[]): Promise<void> {
  const applied = await documents.list(id, { after: 0, limit: 1000 });
  const known = applied.flatMap(({ operationId }) => (operationId === "" ? [] : operationId));
  if (known.length !== ids.length || new Set(known).size !== ids.length) throw new Error(`${ids} became ${known}`);
}

/** Edits a text with several authors, and ends when all is told. */
async function session(editing: Editing, seed: number, tally: Tally, check: Check): Promise<void> {
  const random = new Random(seed);
  const { id } = await editing.createUser(randomText(random, random.between(0, 6)));
  const ids: string[] = [];
  const newId = () => {
    const operationId = `${seed}-${ids.length}`;
    ids.push(operationId);
    return operationId;
  };
  const editors = Array.from(
    { length: random.between(2, 5) },
    (_, index) => new Editor(id, editing.callAs(`author ${index}`), newId),
  );
  for (const editor of editors) editor.connect();
  const authors = editors.map(async (editor) => {
    const own = new Random(random.between(0, 2 ** 31));
    await editor.until(() => editor.revision !== undefined);
    for (let moments = own.between(2, 8); moments > 0; moments--) await act(editor, own);
  });
  const changes = Array.from({ length: random.pick([0, 0, 0, 1, 2]) }, () => changeBio(editing, id, random));
  await Promise.all([...authors, ...changes]);

  for (let turns = 0; !(await isOver(editing, id, editors)); turns++) {
    if (turns > PATIENCE) throw new Error("something does not come back");
    await wait(1);
  }
  const { text } = await editing.documents.read(id);
  const copies = [...editors.map((editor) => editor.text), await bioOf(editing, id)];
  if (copies.some((copy) => copy !== text)) throw new Error(`not the same: ${JSON.stringify([text, ...copies])}`);
  await check(id, ids);
  for (const editor of editors) {
    await editor.disconnect();
    tally.own += editor.seen.own;
    tally.others += editor.seen.operations;
    tally.snapshots += editor.seen.snapshots - 1;
    tally.resent += editor.seen.resent;
  }
  await editing.users.delete(id, () => {}, SCOPE);
}

async function sessions(count: number, editing: Editing, check: Check = async () => {}): Promise<Tally> {
  const first = chooseSeed();
  const tally: Tally = { own: 0, others: 0, snapshots: 0, resent: 0 };
  let next = first;
  const work = async (): Promise<void> => {
    while (next < first + count) {
      const seed = next++;
      await session(editing, seed, tally, check).catch((cause: unknown) => {
        throw new Error(`SEED=${seed} repeats it: ${cause}`, { cause });
      });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  await editing.keeper.close();
  expect(editing.documents.size, "documents of deleted users").toBe(0);
  return tally;
}

describe("sessions of several editors", () => {
  it(`all end with the same text: ${SESSIONS} of them`, async () => {
    const editing = createEditing();
    const tally = await sessions(SESSIONS, editing, (id, ids) => expectEachOnce(editing, id, ids));
    expect(tally.own).toBeGreaterThan(SESSIONS);
    expect(tally.others).toBeGreaterThan(SESSIONS);
    expect(tally.resent).toBeGreaterThan(0);
    expect(tally.snapshots).toBe(0);
    if (FULL) console.log(tally);
  });

  it(`do so where few operations are kept: ${EXPIRING} of them`, async () => {
    const tally = await sessions(EXPIRING, createEditing({ maxCount: 3, maxAgeMs: 3_600_000 }));
    expect(tally.snapshots).toBeGreaterThan(0);
  });
});
