import { describe, expect, it } from "vitest";
import type { User } from "../../src/gen/user/v1/user_pb.ts";
import type { WatchUsersResponse } from "../../src/gen/user/v1/watch_pb.ts";
import { FULL } from "../support/full.ts";
import { chooseSeed, Random } from "../support/random.ts";
import { collect, newUsers, streamOf, userClient } from "../support/server.ts";
import { type UserClient, updateUser } from "./users.ts";
import { CREATED, DELETED, DEPLOYMENTS, SNAPSHOT, SNAPSHOT_END, UPDATED, Watch } from "./watch.ts";

const USERS = FULL ? 5000 : 150;
/** So many events at most are taken of a call that another goes on after. */
const LONGEST_CALL = FULL ? 100 : 40;
const WRITERS = 4;
const WRITES = FULL ? 2000 : 25;
const WATCHES = FULL ? 40 : 4;

/** What the writers have done, which is all that has happened. */
class Writes {
  readonly ids: string[] = [];
  readonly updates = new Map<string, number>();
  readonly deleted = new Set<string>();
  readonly #client: UserClient;
  readonly #random: Random;

  constructor(client: UserClient, random: Random) {
    this.#client = client;
    this.#random = random;
  }

  async create(count: number, prefix: string): Promise<void> {
    const { userIds } = await this.#client.createUsers(streamOf(...newUsers(count, prefix)));
    this.ids.push(...userIds);
  }

  async run(writer: number): Promise<void> {
    for (let write = 0; write < WRITES; write++) {
      const what = this.#random.next();
      if (what < 0.15) await this.create(this.#random.between(1, 5), `${writer}-${write}-`);
      else if (what < 0.25) await this.#delete();
      else await this.#update(write);
    }
  }

  async #update(write: number): Promise<void> {
    const id = this.#somebody();
    if (this.deleted.has(id)) return;
    // No update leaves a user as before.
    const changed = updateUser(this.#client, { id, name: `${write} ${this.#random.next()}` }, "name");
    if (
      await changed.then(
        () => true,
        () => false,
      )
    )
      this.updates.set(id, (this.updates.get(id) ?? 0) + 1);
  }

  async #delete(): Promise<void> {
    const id = this.#somebody();
    if (this.deleted.has(id)) return;
    this.deleted.add(id);
    await this.#client.deleteUser({ id });
  }

  #somebody(): string {
    return this.ids[this.#random.between(0, this.ids.length - 1)] ?? "";
  }
}

/** How often a user has been changed: an etag begins with the version. */
function updatesShown({ etag }: User): number {
  return Number.parseInt(etag.slice(1), 10) - 1;
}

/** Expects that the events are a snapshot and all changes that it does not show, each of them once. */
function expectWhole(events: readonly WatchUsersResponse[], writes: Writes, context: string): void {
  const end = events.findIndex(({ type }) => type === SNAPSHOT_END);
  expect(end, context).toBeGreaterThanOrEqual(0);
  const snapshot = events.slice(0, end);
  const changes = events.slice(end + 1);
  expect(new Set(snapshot.map(({ type }) => type)), context).toEqual(new Set([SNAPSHOT]));
  const ids = snapshot.map(({ userId }) => userId);
  expect(ids, context).toEqual([...new Set(ids)].toSorted((one, other) => (one < other ? -1 : 1)));
  const revisions = changes.map(({ revision }) => revision);
  expect(
    revisions.every((revision, index) => index === 0 || revision > (revisions[index - 1] ?? 0n)),
    context,
  ).toBe(true);

  const shown = new Map(snapshot.map(({ userId, user }) => [userId, user ?? expect.fail(context)]));
  const told = Map.groupBy(changes, ({ userId }) => userId);
  for (const id of writes.ids) {
    const user = shown.get(id);
    const kinds = (told.get(id) ?? []).map(({ type }) => type);
    const who = `${context}, ${user === undefined ? "not in the snapshot" : "in the snapshot"}: ${id}`;
    // Whoever was deleted before they could be shown is not heard of, or is heard of as ever.
    if (user === undefined && kinds[0] !== CREATED) {
      expect(writes.deleted.has(id), who).toBe(true);
      expect(kinds, who).toEqual([]);
      continue;
    }
    const updates = (writes.updates.get(id) ?? 0) - (user === undefined ? 0 : updatesShown(user));
    expect(kinds, who).toEqual([
      ...(user === undefined ? [CREATED] : []),
      ...Array<typeof UPDATED>(updates).fill(UPDATED),
      ...(writes.deleted.has(id) ? [DELETED] : []),
    ]);
  }
}

/** What a watcher has in the end who keeps what is shown. */
function replay(events: readonly WatchUsersResponse[]): Map<string, User> {
  const users = new Map<string, User>();
  for (const { type, userId, user } of events) {
    if (type === DELETED) users.delete(userId);
    else if (user !== undefined) users.set(userId, user);
  }
  return users;
}

describe.each(DEPLOYMENTS)("WatchUsers with a snapshot while users change, $where", ({ lend }) => {
  const start = lend();

  it("shows each user once, and tells exactly what the snapshot does not show", { timeout: 60_000 }, async () => {
    const seed = chooseSeed();
    const random = new Random(seed);
    const { watching, writing } = await start();
    const client = userClient(writing);
    const writes = new Writes(client, random);
    await writes.create(USERS, "early");

    const writers = Array.from({ length: WRITERS }, (_, writer) => writes.run(writer));
    const snapshots: Promise<Watch>[] = [];
    for (let count = 0; count < WATCHES; count++) {
      const watch = new Watch(userClient(watching), { snapshot: true });
      snapshots.push(watch.until(({ type }) => type === SNAPSHOT_END).then(() => watch));
      if (count % 3 === 2) await snapshots.at(-1);
    }
    const watches = await Promise.all(snapshots);
    await Promise.all(writers);

    await client.createUsers(streamOf({ email: "last@example.com", name: "last" }));
    const users = new Map((await collect(client.listUsers({ streamAll: true }))).map((user) => [user.id, user]));
    for (const [index, watch] of watches.entries()) {
      const context = `SEED=${seed}, watch ${index}`;
      if (watch.events.at(-1)?.user?.name !== "last") await watch.until(({ user }) => user?.name === "last");
      expectWhole(watch.events, writes, context);
      expect(replay(watch.events), context).toEqual(users);
    }
  });

  it("is whole where a call goes on within the snapshot of another, again and again", { timeout: 60_000 }, async () => {
    const seed = chooseSeed();
    const random = new Random(seed);
    const { watching, writing } = await start();
    const client = userClient(writing);
    const writes = new Writes(client, random);
    await writes.create(USERS, "early");

    const writers = Promise.all(Array.from({ length: WRITERS }, (_, writer) => writes.run(writer)));
    const events: WatchUsersResponse[] = [];
    let watch = new Watch(userClient(watching), { snapshot: true });
    while (events.at(-1)?.type !== SNAPSHOT_END) {
      for (let left = random.between(1, LONGEST_CALL); left > 0 && events.at(-1)?.type !== SNAPSHOT_END; left--) {
        events.push(await watch.next());
      }
      const { token } = watch;
      await watch.cancel();
      watch = new Watch(userClient(random.pick([watching, writing])), { resumeToken: token });
    }
    await writers;
    await client.createUsers(streamOf({ email: "last@example.com", name: "last" }));
    events.push(...(await watch.until(({ user }) => user?.name === "last")));
    const shown = events.filter(({ type }) => type === SNAPSHOT).map(({ userId }) => userId);
    expect(new Set(shown).size, `SEED=${seed}`).toBe(shown.length);
    expect(replay(events), `SEED=${seed}`).toEqual(
      new Map((await collect(client.listUsers({ streamAll: true }))).map((user) => [user.id, user])),
    );
  });
});
