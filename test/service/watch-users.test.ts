import { setImmediate } from "node:timers/promises";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { createHandlerContext } from "@connectrpc/connect";
import { describe, expect, it, vi } from "vitest";
import { InProcessBus } from "../../src/bus/in-process-bus.ts";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { WatchEventType, WatchUsersRequestSchema, type WatchUsersResponse } from "../../src/gen/user/v1/watch_pb.ts";
import { MemoryUserRepository } from "../../src/repository/memory/user-repository.ts";
import { announcing } from "../../src/service/announced-users.ts";
import { CHANGES_TOPIC } from "../../src/service/change-feed.ts";
import { resumeTokens } from "../../src/service/sealed-tokens.ts";
import { createWatchUsers, RESUME_TOKEN } from "../../src/service/watch-users.ts";
import { changed, createOne, drafts, idsOf, RETENTION, SCOPE } from "../repository/suite/drafts.ts";
import { stopTheClock } from "../support/stop-the-clock.ts";

const { CREATED, UPDATED, DELETED, SNAPSHOT, SNAPSHOT_END, HEARTBEAT } = WatchEventType;
const REASON = new Error("the end");

/** Counts those who follow it. */
class CountedBus extends InProcessBus {
  followers = 0;

  override follow(topic: string, wake: () => void): () => void {
    this.followers++;
    const unfollow = super.follow(topic, wake);
    return () => {
      this.followers--;
      unfollow();
    };
  }
}

/** Users in memory, and the method that watches them. `beforePage` is called before each page of a snapshot. */
function watchedUsers(beforePage: (page: number) => Promise<unknown> = async () => {}) {
  const repository = new MemoryUserRepository(RETENTION);
  const listAsOf = repository.listAsOf.bind(repository);
  let pages = 0;
  repository.listAsOf = async (page) => {
    await beforePage(++pages);
    return listAsOf(page);
  };
  const bus = new CountedBus();
  const users = announcing(repository, () => bus.publish(CHANGES_TOPIC));
  const { watchUsers } = createWatchUsers({
    repository: users,
    bus,
    resumeTokens: resumeTokens(() => new Uint8Array(32)),
  });
  const watch = (request: MessageInitShape<typeof WatchUsersRequestSchema> = {}) => {
    const context = createHandlerContext({
      service: UserService,
      method: UserService.method.watchUsers,
      protocolName: "grpc",
      requestMethod: "POST",
      url: "http://localhost",
    });
    const events = watchUsers(create(WatchUsersRequestSchema, request), context) as AsyncIterable<WatchUsersResponse>;
    return { context, events: events[Symbol.asyncIterator]() };
  };
  return { users, bus, watch };
}

type Events = AsyncIterator<WatchUsersResponse>;

async function take(events: Events, count: number): Promise<[type: WatchEventType, userId: string][]> {
  const taken: [WatchEventType, string][] = [];
  for (; count > 0; count--) {
    const { value } = (await events.next()) as IteratorYieldResult<WatchUsersResponse>;
    taken.push([value.type, value.userId]);
  }
  return taken;
}

/** Lets all be done that waits for no timer. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await setImmediate();
}

describe("the heartbeats of watchUsers", () => {
  it.each([
    { asked: "nothing", request: {}, ms: 5000 },
    { asked: "0.1 s", request: { heartbeatInterval: { seconds: 0n, nanos: 100_000_000 } }, ms: 100 },
    { asked: "300 s", request: { heartbeatInterval: { seconds: 300n, nanos: 0 } }, ms: 300_000 },
  ])("come after $ms ms without an event when the client asks for $asked", async ({ request, ms }) => {
    const timers = stopTheClock("setTimeout", "performance");
    const { users, watch } = watchedUsers();
    const { events } = watch(request);
    const seen: WatchEventType[] = [];
    const reading = (async () => {
      for (let count = 0; count < 4; count++) seen.push(...(await take(events, 1)).map(([type]) => type));
    })();
    await settle();
    expect(seen).toEqual([HEARTBEAT]);
    vi.advanceTimersByTime(ms - 1);
    await settle();
    expect(seen).toEqual([HEARTBEAT]);
    vi.advanceTimersByTime(1);
    await settle();
    expect(seen).toEqual([HEARTBEAT, HEARTBEAT]);
    // An event begins the time anew.
    vi.advanceTimersByTime(ms - 1);
    await createOne(users, "ada@example.com");
    await settle();
    expect(seen).toEqual([HEARTBEAT, HEARTBEAT, CREATED]);
    vi.advanceTimersByTime(ms - 1);
    await settle();
    expect(seen).toHaveLength(3);
    vi.advanceTimersByTime(1);
    await reading;
    expect(seen.at(-1)).toBe(HEARTBEAT);
    await events.return?.();
    expect(timers()).toBe(0);
  });
});

describe("the snapshot of watchUsers", () => {
  it("shows what happens to users before they are shown, and what happens after is told", async () => {
    let ids: string[] = [];
    const { users, watch } = watchedUsers(async (page) => {
      if (page !== 2) return;
      await users.update(ids[3] ?? "", changed({ age: 1 }), SCOPE);
      await users.update(ids[50] ?? "", changed({ age: 1 }), SCOPE);
      await users.delete(ids[4] ?? "", () => {}, SCOPE);
      await users.delete(ids[51] ?? "", () => {}, SCOPE);
      ids.push((await createOne(users, "new@example.com")).id);
    });
    ids = idsOf(await users.create(drafts(70), SCOPE));
    const { events } = watch({ snapshot: true });
    const shown = await take(events, 71);
    expect(shown).toEqual([...ids.filter((id) => id !== ids[51]).map((id) => [SNAPSHOT, id]), [SNAPSHOT_END, ""]]);
    await users.update(ids[50] ?? "", changed({ age: 2 }), SCOPE);
    expect(await take(events, 3)).toEqual([
      [UPDATED, ids[3]],
      [DELETED, ids[4]],
      [UPDATED, ids[50]],
    ]);
    await events.return?.();
  });

  it("does not delay heartbeats by changes that it shows already", async () => {
    stopTheClock("setTimeout", "performance");
    const { users, watch } = watchedUsers(() => createOne(users, `${Math.random()}@example.com`));
    const { events } = watch({ snapshot: true });
    expect((await take(events, 2)).map(([type]) => type)).toEqual([SNAPSHOT, SNAPSHOT_END]);
    const next = events.next();
    await settle();
    vi.advanceTimersByTime(5000);
    // The heartbeat says that the change has been taken into account.
    expect((await next).value).toMatchObject({ type: HEARTBEAT, revision: 1n });
    await events.return?.();
  });
});

describe("watchUsers", () => {
  it("follows nothing before a snapshot is over, and nothing any more however the call ends", async () => {
    const timers = stopTheClock("setTimeout", "performance");
    const { users, bus, watch } = watchedUsers();
    await users.create(drafts(40), SCOPE);
    const [returning, aborted, unread] = [watch({ snapshot: true }), watch(), watch()];
    await take(returning.events, 10);
    await take(unread.events, 1);
    expect(bus.followers).toBe(0);
    await take(returning.events, 31);
    const waiting = returning.events.next();
    await take(aborted.events, 1);
    const failing = aborted.events.next();
    await settle();
    // One for all.
    expect(bus.followers).toBe(1);

    aborted.context.abort(REASON);
    await expect(failing).rejects.toBe(REASON);
    await unread.events.return?.();
    expect(bus.followers).toBe(1);
    returning.context.abort(REASON);
    await expect(waiting).rejects.toBe(REASON);
    await settle();
    expect([bus.followers, timers()]).toEqual([0, 0]);
  });

  it("leaves nothing behind when the users cannot be read", async () => {
    const { bus, watch } = watchedUsers(() => Promise.reject(REASON));
    const { events, context } = watch({ snapshot: true });
    await expect(events.next()).rejects.toBe(REASON);
    expect(bus.followers).toBe(0);
    expect(context.responseTrailer.get(RESUME_TOKEN)).toBeNull();
  });

  it("sets the trailer to the token of what has been taken", async () => {
    const { users, watch } = watchedUsers();
    const { events, context } = watch();
    const first = (await events.next()).value as WatchUsersResponse;
    const waiting = events.next();
    await settle();
    expect(context.responseTrailer.get(RESUME_TOKEN)).toBe(first.resumeToken);
    await createOne(users, "ada@example.com");
    const second = (await waiting).value as WatchUsersResponse;
    const last = events.next();
    await settle();
    expect(context.responseTrailer.get(RESUME_TOKEN)).toBe(second.resumeToken);
    context.abort(REASON);
    await expect(last).rejects.toBe(REASON);
  });
});
