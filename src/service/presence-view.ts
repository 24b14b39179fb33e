import { setImmediate } from "node:timers/promises";
import type { LimitFunction } from "p-limit";
import type { Bus } from "../bus/bus.ts";
import type { Presence, Presences } from "../repository/presences.ts";
import type { Cancellable } from "../repository/scope.ts";
import type { Bell } from "./bell.ts";

/** No call waits for presences, so none calls them off. */
export const PRESENCE_SCOPE: Cancellable = { signal: new AbortController().signal, timeoutMs: () => 2000 };

/** So many bells are rung in one turn of the event loop, so that others get theirs. */
const RUNG_PER_TURN = 25;

/** Who has come, and who has gone. */
export interface Moves {
  readonly came: readonly string[];
  readonly went: readonly string[];
}

/** Those who are at a topic, as far as it is known. */
export interface PresenceView {
  /** In the order of the sessions; the same array until something changes. */
  readonly present: readonly Presence[];
  /** Who they are; the same set until somebody comes or goes. */
  readonly members: ReadonlySet<string>;
  /** Resolves when it is known who was there at the beginning. */
  readonly loaded: Promise<void>;
  /** Who has come and gone since these were the members. */
  movesSince(before: ReadonlySet<string>): Moves;
  close(): void;
}

/** A topic whose presences are read once for all who watch them. */
export class WatchedTopic {
  readonly bells = new Set<Bell>();
  readonly loaded: Promise<void>;
  present: readonly Presence[] = [];
  members: ReadonlySet<string> = new Set();
  readonly #topic: string;
  readonly #presences: Presences;
  readonly #inTurn: LimitFunction;
  readonly #unfollow: () => void;
  readonly #onLoaded: () => void;
  /** What has become of the members before, for most who ask. */
  #before: ReadonlySet<string> = this.members;
  #moves: Moves = { came: [], went: [] };
  #reading = false;
  #stale = false;

  constructor(topic: string, presences: Presences, bus: Bus, inTurn: LimitFunction) {
    this.#topic = topic;
    this.#presences = presences;
    this.#inTurn = inTurn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.loaded = promise;
    this.#onLoaded = resolve;
    this.#unfollow = bus.follow(presenceTopic(topic), () => void this.#read());
    void this.#read();
  }

  movesSince(before: ReadonlySet<string>): Moves {
    if (before === this.members) return NO_MOVES;
    return before === this.#before ? this.#moves : movesBetween(before, this.members);
  }

  close(): void {
    this.#unfollow();
  }

  async #read(): Promise<void> {
    this.#stale = true;
    if (this.#reading) return;
    this.#reading = true;
    while (this.#stale) {
      this.#stale = false;
      const read = () => this.#presences.list(this.#topic, PRESENCE_SCOPE);
      // Where they cannot be read, those who watch them soon hear of worse.
      const present = await this.#inTurn(read).catch(() => this.present);
      const changed = !isSame(present, this.present);
      if (changed) this.#see(present);
      this.#onLoaded();
      if (changed) await this.#ringAll();
    }
    this.#reading = false;
  }

  #see(present: readonly Presence[]): void {
    this.present = present;
    const members = new Set(present.map(({ userId }) => userId));
    const moves = movesBetween(this.members, members);
    if (moves.came.length === 0 && moves.went.length === 0) return;
    this.#before = this.members;
    this.#moves = moves;
    this.members = members;
  }

  async #ringAll(): Promise<void> {
    let rung = 0;
    for (const bell of this.bells) {
      bell.ring();
      rung++;
      if (rung % RUNG_PER_TURN === 0) await setImmediate();
    }
  }
}

const NO_MOVES: Moves = { came: [], went: [] };

/** The topic of the bus on which those are published who come to a topic, move there, or go. */
export function presenceTopic(topic: string): string {
  return `presence:${topic}`;
}

function movesBetween(before: ReadonlySet<string>, after: ReadonlySet<string>): Moves {
  return {
    came: [...after].filter((id) => !before.has(id)),
    went: [...before].filter((id) => !after.has(id)),
  };
}

function isSame(one: readonly Presence[], other: readonly Presence[]): boolean {
  return (
    one.length === other.length &&
    one.every(({ session, detail }, index) => session === other[index]?.session && detail === other[index]?.detail)
  );
}
