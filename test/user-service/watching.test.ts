import { timestampMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { FULL } from "../support/full.ts";
import { newUsers, streamOf, userClient } from "../support/server.ts";
import { COMPLETE, createUser, getUser, updateUser } from "./users.ts";
import {
  CREATED,
  DELETED,
  DEPLOYMENTS,
  HEARTBEAT,
  OFTEN,
  SNAPSHOT,
  SNAPSHOT_END,
  startWatch,
  storyOf,
  UPDATED,
  Watch,
} from "./watch.ts";

/** More than are read at once. */
const MANY = FULL ? 1500 : 600;
/** So many users are created and changed, and so many of the events are gone on after. */
const USERS = FULL ? 40 : 15;
const STEP = FULL ? 9 : 7;
/** About the end of the first page that is read, of 6, and of the second, of 7. */
const SNAPSHOTS = FULL ? [0, 1, 5, 6, 7, 12, 13, 14, 64] : [0, 6, 7, 13];

describe.each(DEPLOYMENTS)("WatchUsers, $where", ({ lend }) => {
  const start = lend();

  it("begins at once with a heartbeat, and tells of what takes effect after that", async () => {
    const { watching, writing } = await start();
    const users = userClient(writing);
    const watch = new Watch(userClient(watching));
    expect(await watch.next()).toMatchObject({ type: HEARTBEAT, revision: 0n, userId: "" });
    const { id } = await createUser(users);
    const [created] = await watch.take(1);
    const later = await startWatch(watching);
    expect(later.events).toMatchObject([{ type: HEARTBEAT, revision: created?.revision, userId: "" }]);
    await updateUser(users, { id, name: "changed" }, "name");
    expect(storyOf(await later.take(1))).toEqual([[UPDATED, id]]);
    for (const { user, changedAt } of [watch.events[0], later.events[0]].map((event) => event ?? expect.fail())) {
      expect([user, changedAt]).toEqual([undefined, undefined]);
    }
  });

  it("tells what happens to users in the order in which it takes effect, with the users", async () => {
    const { watching, writing } = await start();
    const users = userClient(writing);
    const watch = await startWatch(watching);
    const ada = await createUser(users, COMPLETE);
    expect(await watch.take(1)).toMatchObject([{ type: CREATED, userId: ada.id, user: ada }]);
    const grace = await createUser(users);
    expect(await watch.take(1)).toMatchObject([{ type: CREATED, userId: grace.id, user: grace }]);
    const changed = await updateUser(users, { id: ada.id, name: "Ada King", age: 37 }, "name", "age");
    expect(await watch.take(1)).toMatchObject([{ type: UPDATED, userId: ada.id, user: changed }]);
    await users.deleteUser({ id: ada.id });
    const [deleted] = await watch.take(1);
    expect(deleted).toMatchObject({ type: DELETED, userId: ada.id });
    expect(deleted?.user).toBeUndefined();

    const events = watch.events.slice(1);
    const revisions = events.map(({ revision }) => revision);
    expect(revisions).toEqual(revisions.toSorted((one, other) => Number(one - other)));
    expect(new Set(revisions).size).toBe(events.length);
    for (const { changedAt } of events) {
      expect(changedAt?.nanos).toSatisfy((nanos: number) => nanos % 1_000_000 === 0);
      // By the clock of whoever keeps the users.
      expect(Math.abs(Date.now() - timestampMs(changedAt ?? expect.fail()))).toBeLessThan(60_000);
    }
    expect(new Set(watch.events.map(({ resumeToken }) => resumeToken)).size).toBe(watch.events.length);
  });

  it("tells of each user of a creation of many, once", async () => {
    const { watching, writing } = await start();
    const watch = await startWatch(watching);
    const { userIds } = await userClient(writing).createUsers(streamOf(...newUsers(MANY)));
    const events = await watch.take(userIds.length);
    // Nobody promises the order in which the users of one call are created.
    expect(new Set(events.map(({ type, userId }) => `${type} ${userId}`))).toEqual(
      new Set(userIds.map((id) => `${CREATED} ${id}`)),
    );
    await createUser(userClient(writing));
    expect((await watch.next()).user?.name).toBe("Grace");
  });

  it("tells nothing of an update after which a user is as before", async () => {
    const { watching, writing } = await start();
    const users = userClient(writing);
    const { id } = await createUser(users);
    const watch = await startWatch(watching);
    await updateUser(users, { id, name: "Grace" }, "name");
    await updateUser(users, { id, name: "Hopper" }, "name");
    await updateUser(users, { id, name: "Hopper" }, "name");
    await users.deleteUser({ id });
    expect(storyOf(await watch.take(2))).toEqual([
      [UPDATED, id],
      [DELETED, id],
    ]);
  });

  it("tells of earlier changes with the user as of later, and without one who is deleted by now", async () => {
    const { watching, writing } = await start();
    const users = userClient(writing);
    const before = await startWatch(watching);
    const stays = await createUser(users);
    const goes = await createUser(users, { email: "goes@example.com" });
    const changed = await updateUser(users, { id: stays.id, name: "Hopper" }, "name");
    await users.deleteUser({ id: goes.id });
    const { token } = before;
    await before.cancel();
    // While somebody is there, others may get what has been read for them, some seconds ago.
    await expect.poll(() => watching.server.openCalls, { timeout: 10_000 }).toBe(0);

    const watch = await startWatch(watching, { resumeToken: token });
    const events = await watch.take(4);
    expect(storyOf(events)).toEqual([
      [CREATED, stays.id],
      [CREATED, goes.id],
      [UPDATED, stays.id],
      [DELETED, goes.id],
    ]);
    expect(events.map(({ user }) => user)).toEqual([changed, undefined, changed, undefined]);
  });

  it("sends heartbeats while nothing happens, which say how far the stream has come", async () => {
    const { watching, writing } = await start();
    const users = userClient(writing);
    const watch = await startWatch(watching, { heartbeatInterval: OFTEN });
    expect(await watch.take(2)).toMatchObject([
      { type: HEARTBEAT, revision: 0n },
      { type: HEARTBEAT, revision: 0n },
    ]);
    const { id } = await createUser(users);
    const [created] = (await watch.until(({ type }) => type === CREATED)).slice(-1);
    const heartbeat = await watch.next();
    expect(heartbeat).toMatchObject({ type: HEARTBEAT, revision: created?.revision, userId: "" });
    await updateUser(users, { id, name: "Hopper" }, "name");
    const next = await startWatch(writing, { resumeToken: heartbeat.resumeToken });
    expect(storyOf(await next.take(1))).toEqual([[UPDATED, id]]);
  });

  it("goes on after any event, with what followed", async () => {
    const { watching, writing } = await start();
    const users = userClient(writing);
    const watch = await startWatch(watching);
    const { userIds } = await users.createUsers(streamOf(...newUsers(USERS)));
    for (const id of userIds) await updateUser(users, { id, name: "changed" }, "name");
    await watch.take(2 * USERS);
    for (const [index, { resumeToken }] of watch.events.entries()) {
      if (index % STEP !== 0) continue;
      // A snapshot that is asked for with a token has no effect.
      const next = new Watch(userClient(index % 2 === 0 ? watching : writing), { resumeToken, snapshot: true });
      const [first, ...rest] = await next.take(2 * USERS + 1 - index);
      expect(first).toMatchObject({ type: HEARTBEAT, revision: watch.events[index]?.revision });
      expect(rest.map(({ revision }) => revision)).toEqual(
        watch.events.slice(index + 1).map(({ revision }) => revision),
      );
      expect(storyOf(rest)).toEqual(storyOf(watch.events.slice(index + 1)));
      expect(rest.map(({ changedAt }) => changedAt)).toEqual(
        watch.events.slice(index + 1).map(({ changedAt }) => changedAt),
      );
      await next.cancel();
    }
  });

  it("shows all users first who asks for a snapshot, then its end, and then changes", async () => {
    const { watching, writing } = await start();
    const users = userClient(writing);
    const { userIds } = await users.createUsers(streamOf(...newUsers(100)));
    await updateUser(users, { id: userIds[7] ?? "", ...COMPLETE }, "*");
    const watch = new Watch(userClient(watching), { snapshot: true });
    const events = await watch.take(101);
    expect(storyOf(events)).toEqual([...userIds.map((id) => [SNAPSHOT, id]), [SNAPSHOT_END, ""]]);
    expect(new Set(events.map(({ revision }) => revision)).size).toBe(1);
    expect(events.every(({ changedAt }) => changedAt === undefined)).toBe(true);
    for (const index of [0, 7, 99]) expect(events[index]?.user).toEqual(await getUser(users, userIds[index] ?? ""));
    await users.deleteUser({ id: userIds[3] ?? "" });
    expect(storyOf(await watch.take(1))).toEqual([[DELETED, userIds[3]]]);
  });

  it.each(SNAPSHOTS)("shows a snapshot of %d users, and goes on with changes", async (count) => {
    const { watching, writing } = await start();
    const users = userClient(writing);
    const userIds = count === 0 ? [] : (await users.createUsers(streamOf(...newUsers(count)))).userIds;
    const watch = new Watch(userClient(watching), { snapshot: true });
    expect(storyOf(await watch.take(count + 1))).toEqual([...userIds.map((id) => [SNAPSHOT, id]), [SNAPSHOT_END, ""]]);
    const { id } = await createUser(users);
    expect(storyOf(await watch.take(1))).toEqual([[CREATED, id]]);
  });

  it("goes on within a snapshot, and with the changes since it began", async () => {
    const { watching, writing } = await start();
    const users = userClient(writing);
    const { userIds } = await users.createUsers(streamOf(...newUsers(70)));
    const watch = new Watch(userClient(watching), { snapshot: true });
    const events = await watch.take(71);
    const early = userIds[2] ?? "";
    await updateUser(users, { id: early, name: "changed" }, "name");
    for (const index of [0, 5, 6, 12, 13, 68, 69]) {
      const { resumeToken } = events[index] ?? expect.fail();
      const next = new Watch(userClient(writing), { resumeToken });
      const rest = userIds.slice(index + 1).map((id) => [SNAPSHOT, id]);
      // That an early user has changed since then is shown where the user is still to come, and told where not.
      const told = index < 2 ? [] : [[UPDATED, early]];
      expect(storyOf(await next.take(rest.length + 1 + told.length))).toEqual([...rest, [SNAPSHOT_END, ""], ...told]);
      await next.cancel();
    }
    // After its end, there is no more of the snapshot to come.
    const after = new Watch(userClient(writing), { resumeToken: events.at(-1)?.resumeToken ?? "" });
    expect(storyOf(await after.take(2))).toEqual([
      [HEARTBEAT, ""],
      [UPDATED, early],
    ]);
  });
});
