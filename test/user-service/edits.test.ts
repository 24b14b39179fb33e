import { timestampMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import type { Principal } from "../../src/domain/principal.ts";
import { WatchEventType } from "../../src/gen/user/v1/watch_pb.ts";
import { EditCallOfTest } from "../support/edit-call.ts";
import { failureOf } from "../support/errors.ts";
import { FULL } from "../support/full.ts";
import { emptyReplicas } from "../support/replicas.ts";
import { ADMIN, servingTestServer, type TestServer, userClient } from "../support/server.ts";
import { upload } from "./upload-files.ts";
import { createUser, getUser, updateUser } from "./users.ts";

type Two = readonly [TestServer, TestServer];

const ADA: Principal = { id: "ada", role: "user" };
const BOB: Principal = { id: "bob", role: "user" };

/** Where two editors may be: each test goes for all, in the short form without the one that lies between the others. */
const PLACES: readonly { where: string; lend: () => () => Promise<Two> }[] = [
  { where: "in memory", lend: () => async () => twice(await servingTestServer()) },
  ...(FULL ? [{ where: "in PostgreSQL", lend: () => lendReplicas(1) }] : []),
  { where: "on two replicas", lend: () => lendReplicas(2) },
];

function twice(server: TestServer): Two {
  return [server, server];
}

function lendReplicas(count: number): () => Promise<Two> {
  const empty = emptyReplicas(count);
  return async () => {
    const [first, second = first] = (await empty()).servers;
    return [first, second];
  };
}

function call(server: TestServer, principal: Principal = ADMIN): EditCallOfTest {
  return new EditCallOfTest(userClient(server, principal));
}

describe.each(PLACES)("CollaborativeEdit, $where", ({ lend }) => {
  const start = lend();

  /** Two editors, Ada and Bob, of a text. */
  async function startEditors(bio = "Hello") {
    const servers = await start();
    const admin = userClient(servers[0]);
    const user = await createUser(admin, bio === "" ? {} : { profile: { bio } });
    const { id } = user;
    const ada = call(servers[0], ADA).open(id);
    const bob = call(servers[1], BOB).open(id);
    expect([await ada.snapshot(), await bob.snapshot()]).toEqual([
      { revision: 0, text: bio },
      { revision: 0, text: bio },
    ]);
    return { servers, admin, user, id, ada, bob };
  }

  it("tells every editor of each operation, in order, the author included", async () => {
    const { ada, bob } = await startEditors();
    const hello = ada.edit(0, [5, ", 👩‍🚀"]);
    const first = { revision: 1, steps: [5, ", 👩‍🚀"], userId: "ada", operationId: hello };
    expect(await ada.operation()).toEqual(first);
    expect(await bob.operation()).toEqual(first);
    const shout = bob.edit(1, [8, { d: 2 }, "!"]);
    const second = { revision: 2, steps: [8, { d: 2 }, "!"], userId: "bob", operationId: shout };
    expect(await ada.operation()).toEqual(second);
    expect(await bob.operation()).toEqual(second);
  });

  it("transforms an operation that did not know of others; what was applied first comes first", async () => {
    const { admin, id, ada, bob } = await startEditors("ab");
    ada.edit(0, [1, "1"]);
    await ada.operation();
    bob.edit(0, [1, "2", { d: 1 }]);
    expect(await ada.operation()).toMatchObject({ revision: 2, steps: [2, "2", { d: 1 }] });
    expect((await getUser(admin, id)).profile?.bio).toBe("a12");
  });

  it("changes the user: bio, etag and time, and WatchUsers tells of it", async () => {
    const { servers, admin, user, id, ada } = await startEditors();
    const watching = new AbortController();
    const watch = userClient(servers[1]).watchUsers({}, { signal: watching.signal })[Symbol.asyncIterator]();
    await watch.next();
    ada.edit(0, [{ d: 5 }, "Bye"]);
    await ada.operation();
    const after = await getUser(admin, id);
    expect(after).toMatchObject({ name: user.name, email: user.email, profile: { bio: "Bye" } });
    expect(after.etag).not.toBe(user.etag);
    expect(timestampMs(after.updatedAt ?? expect.fail())).toBeGreaterThanOrEqual(
      timestampMs(user.updatedAt ?? expect.fail()),
    );
    let { value } = await watch.next();
    while (value?.type === WatchEventType.HEARTBEAT) value = (await watch.next()).value;
    expect(value).toMatchObject({ type: WatchEventType.UPDATED, userId: id, user: { profile: { bio: "Bye" } } });
    watching.abort();
  });

  it("tells of a change of the bio by other methods as of an operation", async () => {
    const { admin, user, id, ada, bob } = await startEditors("one two three");
    await updateUser(admin, { id, profile: { bio: "one 2 three" } }, "profile.bio");
    const change = { revision: 1, steps: [4, { d: 3 }, "2"], userId: "", operationId: "" };
    expect(await ada.operation()).toEqual(change);
    expect(await bob.operation()).toEqual(change);
    await upload(admin, `email,name,bio\n${user.email},${user.name},one 2 four`);
    expect(await ada.operation()).toMatchObject({ revision: 2, steps: [6, { d: 5 }, "four"], userId: "" });
    await bob.operation();
    // What does not change the bio is no operation.
    await updateUser(admin, { id, name: "Another" }, "name");
    bob.edit(0, [13, "!"]);
    expect(await ada.operation()).toMatchObject({ revision: 3, steps: [10, "!"], userId: "bob" });
    expect((await getUser(admin, id)).profile?.bio).toBe("one 2 four!");
  });

  it("goes on after a revision, with the operations since", async () => {
    const { servers, id, ada, bob } = await startEditors("ab");
    for (let revision = 0; revision < 3; revision++) {
      ada.edit(revision, ["x"]);
      await ada.operation();
    }
    bob.cancel();
    const again = call(servers[1], BOB).open(id, 1);
    expect(await again.operation()).toMatchObject({ revision: 2, steps: ["x"], userId: "ada" });
    expect(await again.operation()).toMatchObject({ revision: 3 });
    ada.edit(3, ["y"]);
    expect(await again.operation()).toMatchObject({ revision: 4, steps: ["y"] });
    expect(await call(servers[0]).open(id, 4).presence()).toMatchObject({ gone: false });
  });

  it("does not apply an operation again that is sent again after a new connection", async () => {
    const { servers, admin, id, ada, bob } = await startEditors("ab");
    const operationId = ada.edit(0, ["x"]);
    await bob.operation();
    ada.cancel();
    const again = call(servers[1], ADA).open(id, 0);
    again.edit(0, ["x"], operationId);
    expect(await again.operation()).toMatchObject({ revision: 1, operationId });
    again.halfClose();
    expect((await again.rest()).filter((event) => event?.case === "operation")).toEqual([]);
    expect((await getUser(admin, id)).profile?.bio).toBe("xab");
  });

  it("tells where the others are, and when they have gone", async () => {
    const { servers, id, ada, bob } = await startEditors();
    const hello = await ada.presence();
    expect(hello).toMatchObject({ userId: "bob", gone: false });
    expect(hello.cursor).toBeUndefined();
    bob.move(3, 5);
    const moved = await ada.presence();
    expect(moved).toMatchObject({ sessionId: hello.sessionId, userId: "bob", gone: false });
    expect(moved.cursor).toMatchObject({ position: 3, selectionEnd: 5 });

    // Whoever comes later is told of all who are there; one person may be there several times.
    const twice = call(servers[0], BOB).open(id);
    await twice.snapshot();
    const there = [await twice.presence(), await twice.presence()];
    expect(new Set(there.map(({ userId }) => userId))).toEqual(new Set(["ada", "bob"]));
    const second = await ada.presence();
    expect(second.userId).toBe("bob");
    expect(second.sessionId).not.toBe(hello.sessionId);

    bob.cancel();
    expect(await ada.presence()).toMatchObject({ sessionId: hello.sessionId, userId: "bob", gone: true });
    twice.halfClose();
    expect(await ada.presence()).toMatchObject({ sessionId: second.sessionId, userId: "bob", gone: true });
  });

  it("fails with NOT_FOUND for all editors when the user is deleted, also for idle ones", async () => {
    const { admin, id, ada, bob } = await startEditors();
    await admin.deleteUser({ id });
    for (const editor of [ada, bob]) {
      expect(await failureOf(editor.rest())).toMatchObject({
        code: "NotFound",
        reason: "USER_NOT_FOUND",
        resource: `user.v1.User/${id}`,
      });
    }
  });

  it("ends with OK after the half-close when the editor's operations have come back", async () => {
    const { ada } = await startEditors("");
    const ids = Array.from({ length: 100 }, (_, index) => ada.edit(0, [`${index};`]));
    ada.halfClose();
    const events = await ada.rest();
    const operations = events.flatMap((event) => (event?.case === "operation" ? event.value.operationId : []));
    expect(operations).toEqual(ids);
  });

  it("fails the one whose operation is wrong, and not the others", async () => {
    const { ada, bob } = await startEditors("ab");
    bob.edit(0, [3, "beyond"]);
    ada.edit(0, [2, "fine"]);
    expect(await failureOf(bob.rest())).toMatchObject({
      code: "InvalidArgument",
      violations: ["messages[1].operation.steps: STEPS_BEYOND_END"],
    });
    expect(await ada.operation()).toMatchObject({ revision: 1, steps: [2, "fine"] });
  });
});
