import { setImmediate } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { describe, expect, it, vi } from "vitest";
import {
  InvalidInputError,
  OutcomeUnknownError,
  StoreUnavailableError,
  UserNotFoundError,
} from "../../src/domain/errors.ts";
import {
  CollaborativeEditRequestSchema,
  type CollaborativeEditResponse,
} from "../../src/gen/user/v1/collaborative_edit_pb.ts";
import { submission } from "../repository/suite/documents.ts";
import { changed, SCOPE } from "../repository/suite/drafts.ts";
import { createEditing, type Editing } from "../support/editing.ts";
import { Editor, RequestQueue, toSteps } from "../support/editor.ts";

/** Waits, turn by turn of the event loop, until something is so. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let turns = 0; !(await isSo()); turns++) {
    if (turns > 10_000) expect.fail("it does not come to that");
    await setImmediate();
  }
}

async function wait(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await setImmediate();
}

/** Two editors of one text. */
async function startEditors(editing: Editing) {
  const { id } = await editing.createUser("text");
  const [ada, bob] = [new Editor(id, editing.callAs("ada")), new Editor(id, editing.callAs("bob"))];
  for (const editor of [ada, bob]) {
    editor.connect();
    await editor.until(() => editor.revision !== undefined);
  }
  await until(() => ada.others.size === 1 && bob.others.size === 1);
  return { id, ada, bob };
}

/** Nobody is there, and nobody listens. */
async function expectNothingLeft({ bus, presences }: Editing, id: string): Promise<void> {
  await until(async () => (await presences.list(`document:${id}`)).length === 0);
  await until(() => bus.following === 0);
}

/** Each way in which the call of an editor ends, and what it ends with. */
const ENDS: Readonly<Record<string, (editing: Editing, editor: Editor, id: string) => Promise<unknown>>> = {
  "a half-close": async (_editing, editor) => {
    editor.edit(["x"]);
    expect(await editor.finish()).toBeUndefined();
  },
  "a cancellation": async (_editing, editor) => {
    expect(await editor.disconnect()).toMatchObject({ name: "AbortError" });
  },
  "a cancellation while an operation is under way": async (_editing, editor) => {
    editor.edit(["x"]);
    await wait(1);
    expect(await editor.disconnect()).toMatchObject({ name: "AbortError" });
  },
  "a wrong operation": async (_editing, editor, id) => {
    const operation = { operationId: "1", baseRevision: 0n, steps: toSteps([100, "x"]) };
    editor.say({ case: "operation", value: operation }, { case: "open", value: { userId: id } });
    expect(await editor.over).toBeInstanceOf(InvalidInputError);
  },
  "the deletion of the user": async ({ users }, editor, id) => {
    await users.delete(id, () => {}, SCOPE);
    expect(await editor.over).toBeInstanceOf(UserNotFoundError);
  },
  "the loss of what keeps the text": async ({ documents, bus }, editor, id) => {
    vi.spyOn(documents, "list").mockRejectedValueOnce(new StoreUnavailableError("lost"));
    bus.publish(`document:${id}`);
    expect(await editor.over).toBeInstanceOf(StoreUnavailableError);
  },
  "the loss of what keeps the text while an operation is applied": async ({ documents }, editor) => {
    vi.spyOn(documents, "apply").mockRejectedValueOnce(new OutcomeUnknownError(new Error("lost")));
    editor.edit(["x"]);
    expect(await editor.over).toBeInstanceOf(StoreUnavailableError);
  },
};

it("hears of a change of the bio also after it could not be told in operations", async () => {
  const editing = createEditing({ maxCount: 1, maxAgeMs: 3_600_000 });
  const { id, ada, bob } = await startEditors(editing);
  // Both are at revision 0, and the first operation is gone before they are told of it.
  const submissions = ["1", "2"].map((text) => submission(0, [text]));
  await editing.documents.apply(id, submissions, SCOPE);
  editing.bus.publish(`document:${id}`);
  await Promise.all([ada, bob].map((editor) => editor.until(() => editor.seen.snapshots === 2)));
  await editing.users.update(id, changed({ profile: { bio: "other", avatarUrl: "" } }), SCOPE);
  await Promise.all([ada, bob].map((editor) => editor.until(() => editor.text === "other")));
  expect(ada.revision).toBe(3);
  await Promise.all([ada.disconnect(), bob.disconnect()]);
});

describe("a call of CollaborativeEdit", () => {
  it.each(Object.entries(ENDS))("leaves nothing behind when it ends by %s", async (_name, end) => {
    const editing = createEditing();
    const { id, ada, bob } = await startEditors(editing);
    await end(editing, ada, id);
    await bob.disconnect();
    await expectNothingLeft(editing, id);
  });

  it.each(["nobody", "somebody"])(
    "leaves nothing behind when it fails at the beginning, with the id of %s",
    async (who) => {
      const editing = createEditing();
      const { id } = await editing.createUser("text");
      const editor = new Editor(who === "nobody" ? who : id, editing.callAs("ada"));
      editor.revision = 7;
      editor.connect();
      expect(await editor.over).toBeInstanceOf(Error);
      await expectNothingLeft(editing, id);
    },
  );

  it("leaves nothing behind when nobody reads on", async () => {
    const editing = createEditing();
    const { id } = await editing.createUser("text");
    const requests = new RequestQueue();
    requests.send({ request: { case: "open", value: { userId: id } } });
    const call = editing.callAs("ada")(requests, new AbortController().signal);
    for await (const { event } of call) {
      expect(event.case).toBe("snapshot");
      break;
    }
    await expectNothingLeft(editing, id);
  });

  it("reads no further than some operations of an editor who does not read", async () => {
    const editing = createEditing();
    const { id } = await editing.createUser("");
    let sent = 0;
    async function* requests() {
      yield create(CollaborativeEditRequestSchema, { request: { case: "open", value: { userId: id } } });
      for (;;) {
        const value = { operationId: `${sent++}`, baseRevision: 0n, steps: toSteps(["x"]) };
        yield create(CollaborativeEditRequestSchema, { request: { case: "operation", value } });
        await setImmediate();
      }
    }
    const controller = new AbortController();
    const call = editing.callAs("ada")(requests(), controller.signal)[Symbol.asyncIterator]();
    await call.next();
    // The second event is asked for, and those after it are not.
    await call.next();
    await until(async () => (await editing.documents.latest(id)) >= 8);
    await wait(200);
    expect(sent).toBeLessThan(16);
    controller.abort();
    await call.return?.();
    await expectNothingLeft(editing, id);
  });

  it("applies together what comes while others are applied", async () => {
    const editing = createEditing();
    const { id } = await editing.createUser("");
    const apply = vi.spyOn(editing.documents, "apply");
    const editors = Array.from({ length: 30 }, (_, index) => new Editor(id, editing.callAs(`editor ${index}`)));
    for (const editor of editors) editor.connect();
    await Promise.all(editors.map((editor) => editor.until(() => editor.revision !== undefined)));
    for (const editor of editors) editor.edit(["x"]);
    await Promise.all(editors.map((editor) => editor.until(() => editor.revision === 30)));
    expect(apply.mock.calls.length).toBeLessThan(10);
    for (const editor of editors) {
      expect(editor.text).toBe("x".repeat(30));
      await editor.disconnect();
    }
    await expectNothingLeft(editing, id);
  });

  it("tells where somebody is, and not of each step on the way", async () => {
    const editing = createEditing();
    const { id, ada, bob } = await startEditors(editing);
    const told: (number | undefined)[] = [];
    for (let position = 0; position <= 1000; position++) ada.move(position);
    await bob.until(() => {
      const [other] = bob.others.values();
      told.push(other?.cursor?.position);
      return other?.cursor?.position === 1000;
    });
    expect(told.length).toBeLessThan(500);
    await Promise.all([ada.disconnect(), bob.disconnect()]);
    await expectNothingLeft(editing, id);
  });

  it("makes an event once for all editors", async () => {
    const editing = createEditing();
    const { id } = await editing.createUser("");
    const calls = ["ada", "bob"].map((name) => {
      const requests = new RequestQueue();
      requests.send({ request: { case: "open", value: { userId: id } } });
      const controller = new AbortController();
      const events = editing.callAs(name)(requests, controller.signal)[Symbol.asyncIterator]();
      return { requests, controller, events };
    });
    for (const { events } of calls) await events.next();
    const value = { operationId: "1", baseRevision: 0n, steps: toSteps(["x"]) };
    const heard = calls.map(async ({ events }) => {
      let event: CollaborativeEditResponse;
      do event = (await events.next()).value;
      while (event.event.case !== "operation");
      return event;
    });
    calls[0]?.requests.send({ request: { case: "operation", value } });
    const [one, other] = await Promise.all(heard);
    expect(one).toBe(other);
    expect(Object.isFrozen(one)).toBe(true);
    for (const { controller, events } of calls) {
      controller.abort();
      await events.return?.();
    }
  });

  it("writes nothing when it is woken and nothing differs", async () => {
    const editing = createEditing();
    const { id, ada, bob } = await startEditors(editing);
    const read = vi.spyOn(editing.documents, "read");
    for (let round = 0; round < 10; round++) {
      editing.bus.publishNext(editing.bus.size);
      await wait(3);
    }
    expect(read).not.toHaveBeenCalled();
    await editing.createUser("somebody else");
    await wait(5);
    expect(read).not.toHaveBeenCalled();
    await Promise.all([ada.disconnect(), bob.disconnect()]);
    await expectNothingLeft(editing, id);
  });
});
