import { setTimeout } from "node:timers/promises";
import { type Client, ConnectError } from "@connectrpc/connect";
import { expect } from "vitest";
import type { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { WatchEventType, type WatchUsersResponse } from "../../src/gen/user/v1/watch_pb.ts";
import type { Random } from "../support/random.ts";

const KINDS: ReadonlyMap<WatchEventType, string> = new Map([
  [WatchEventType.CREATED, "created"],
  [WatchEventType.UPDATED, "updated"],
  [WatchEventType.DELETED, "deleted"],
]);

/** How long a watcher rests that could not reach a replica. */
const REST_MS = 50;

/** What all watchers together have been told, by revision. */
export class Told {
  readonly changes = new Map<number, string>();
  readonly #awaited = new Map<number, () => void>();

  /** Waits until so many changes are known. */
  async until(count: number): Promise<void> {
    if (this.changes.size >= count) return;
    await new Promise<void>((resolve) => this.#awaited.set(count, resolve));
  }

  /** Notes a change, which must be the same whenever it is told. */
  add({ revision, type, userId }: WatchUsersResponse): void {
    const change = `${KINDS.get(type)} ${userId}`;
    const known = this.changes.get(Number(revision));
    if (known !== undefined) {
      if (known !== change) expect.fail(`revision ${revision} was ${known}, and is now ${change}`);
      return;
    }
    this.changes.set(Number(revision), change);
    this.#awaited.get(this.changes.size)?.();
  }
}

/** Who watches users over many calls, each of which goes on where the one before was left. */
export class FollowingWatcher {
  /** The revisions of the changes that came, without those that came again. */
  readonly revisions: number[] = [];
  calls = 0;
  failures = 0;
  readonly #told: Told;
  readonly #random: Random;
  readonly #longestCall: number;
  #token = "";

  /** Leaves each call after up to `longestCall` events. */
  constructor(told: Told, random: Random, longestCall: number) {
    this.#told = told;
    this.#random = random;
    this.#longestCall = longestCall;
  }

  /** Watches until nothing is left of what `isOver` waits for, over one replica or another. */
  async run(replica: () => Client<typeof UserService>, isOver: (revision: number) => boolean): Promise<void> {
    for (let over = false; !over; ) {
      this.calls++;
      const leaving = new AbortController();
      try {
        over = await this.#watch(replica(), isOver, leaving.signal);
      } catch (reason) {
        // What this test itself has found wrong is not for the next call to mend.
        if (!(reason instanceof ConnectError)) throw reason;
        await this.#recover(reason);
      } finally {
        leaving.abort();
      }
    }
  }

  /** One call; tells whether all has come. */
  async #watch(
    client: Client<typeof UserService>,
    isOver: (revision: number) => boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    const request = { resumeToken: this.#token, heartbeatInterval: { nanos: 500_000_000 } };
    let left = this.#random.between(1, this.#longestCall);
    let last = -1n;
    for await (const event of client.watchUsers(request, { signal })) {
      const { type, revision, resumeToken } = event;
      const isChange = type !== WatchEventType.HEARTBEAT;
      if (isChange ? revision <= last : revision < last) expect.fail(`revision ${revision} came after ${last}`);
      last = revision;
      this.#token = resumeToken;
      if (isChange) this.#note(event);
      if (isOver(Number(revision))) return true;
      if (--left === 0) return false;
    }
    return expect.fail("a watch ended with OK");
  }

  #note(event: WatchUsersResponse): void {
    this.#told.add(event);
    if (Number(event.revision) > (this.revisions.at(-1) ?? 0)) this.revisions.push(Number(event.revision));
  }

  /** Goes on where the failure says, or after the last event that came, as a client may. */
  async #recover(error: ConnectError): Promise<void> {
    this.failures++;
    const token = error.metadata.get("x-resume-token");
    if (token !== null && this.#random.next() < 0.5) this.#token = token;
    await setTimeout(REST_MS);
  }
}
