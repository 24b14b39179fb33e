import { randomUUID } from "node:crypto";
import type { Bus } from "../bus/bus.ts";
import type { Presence, Presences } from "../repository/presences.ts";
import type { Cancellable } from "../repository/scope.ts";
import type { Bell } from "./bell.ts";

/** How long a presence is shown, and how often it is shown again, in milliseconds. */
const LIFETIME_MS = 15_000;
const RENEWAL_MS = 5000;

/** No call waits for these, so none calls them off. */
const SCOPE: Cancellable = { signal: new AbortController().signal, timeoutMs: () => 2000 };

/** Somebody's being somewhere. */
export interface Stay {
  readonly session: string;
  /** Shows another detail. */
  update(detail: string): void;
  /** Ends it. */
  leave(): void;
}

/** Those who are at a topic. */
export interface PresenceView {
  /** As far as it is known. In the order of the sessions. */
  readonly present: readonly Presence[];
  /** Resolves when it is known who was there at the beginning. */
  readonly loaded: Promise<void>;
  close(): void;
}

/**
 * Keeps the presences of this process shown for as long as they last, and tells who else is there. When a process dies, its presences
 * go after LIFETIME_MS.
 */
export class PresenceKeeper {
  readonly #presences: Presences;
  readonly #bus: Bus;
  readonly #own = new Map<string, Presence>();
  readonly #watched = new Map<string, WatchedTopic>();
  /** What is to be written. One after the other, so that a presence which ends is not shown again by what was on its way. */
  readonly #toShow = new Set<string>();
  readonly #toRemove = new Set<string>();
  /** Topics at which somebody has come, gone or moved, of which nobody has been told. */
  readonly #news = new Set<string>();
  #writing: Promise<void> | undefined;
  #renewal: NodeJS.Timeout | undefined;

  constructor(presences: Presences, bus: Bus) {
    this.#presences = presences;
    this.#bus = bus;
  }

  /** Shows that somebody is at a topic, until they leave. */
  enter(topic: string, userId: string, detail: string): Stay {
    const session = randomUUID();
    const show = (what: string): void => {
      this.#own.set(session, { topic, session, userId, detail: what });
      this.#toShow.add(session);
      this.#news.add(topic);
      this.#write();
    };
    show(detail);
    this.#renewal ??= setInterval(() => this.#renew(), RENEWAL_MS).unref();
    return {
      session,
      update: (what) => {
        if (this.#own.has(session)) show(what);
      },
      leave: () => this.#leave(session),
    };
  }

  /** Watches who is at a topic, this process's own included. The bell rings when that may have changed. */
  watch(topic: string, bell: Bell): PresenceView {
    let watched = this.#watched.get(topic);
    if (watched === undefined) {
      watched = new WatchedTopic(topic, this.#presences, this.#bus);
      this.#watched.set(topic, watched);
    }
    const { bells } = watched.add(bell);
    const at = watched;
    return {
      loaded: at.loaded,
      get present() {
        return at.present;
      },
      close: () => {
        bells.delete(bell);
        if (bells.size > 0 || this.#watched.get(topic) !== at) return;
        at.close();
        this.#watched.delete(topic);
      },
    };
  }

  /** Ends all presences of this process. Resolves when nobody is shown any more, as far as that can be done. */
  async close(): Promise<void> {
    for (const session of this.#own.keys()) this.#leave(session);
    await this.#writing;
  }

  #leave(session: string): void {
    const presence = this.#own.get(session);
    if (presence === undefined) return;
    this.#own.delete(session);
    this.#toShow.delete(session);
    this.#toRemove.add(session);
    this.#news.add(presence.topic);
    this.#write();
    if (this.#own.size > 0) return;
    clearInterval(this.#renewal);
    this.#renewal = undefined;
  }

  #renew(): void {
    for (const session of this.#own.keys()) this.#toShow.add(session);
    this.#write();
  }

  #write(): void {
    this.#writing ??= this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    do {
      // What happens in one moment is written together.
      await new Promise(setImmediate);
      const shown = [...this.#toShow].flatMap((session) => this.#own.get(session) ?? []);
      const removed = [...this.#toRemove];
      const topics = [...this.#news];
      for (const pending of [this.#toShow, this.#toRemove, this.#news]) pending.clear();
      // Those that cannot be written are shown again at the next renewal, and end by themselves.
      await this.#presences.show(shown, LIFETIME_MS, SCOPE).catch(() => {});
      await this.#presences.remove(removed, SCOPE).catch(() => {});
      for (const topic of topics) this.#bus.publish(busTopic(topic));
    } while (this.#toShow.size > 0 || this.#toRemove.size > 0);
    this.#writing = undefined;
  }
}

/** A topic whose presences are read once for all who watch them. */
class WatchedTopic {
  readonly bells = new Set<Bell>();
  readonly loaded: Promise<void>;
  present: readonly Presence[] = [];
  readonly #topic: string;
  readonly #presences: Presences;
  readonly #unfollow: () => void;
  #reading = false;
  #stale = false;

  constructor(topic: string, presences: Presences, bus: Bus) {
    this.#topic = topic;
    this.#presences = presences;
    this.#unfollow = bus.follow(busTopic(topic), () => void this.#read());
    this.loaded = this.#read();
  }

  add(bell: Bell): this {
    this.bells.add(bell);
    return this;
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
      // Where they cannot be read, those who watch them soon hear of worse.
      const present = await this.#presences.list(this.#topic, SCOPE).catch(() => this.present);
      if (isSame(present, this.present)) continue;
      this.present = present;
      for (const bell of this.bells) bell.ring();
    }
    this.#reading = false;
  }
}

function busTopic(topic: string): string {
  return `presence:${topic}`;
}

function isSame(one: readonly Presence[], other: readonly Presence[]): boolean {
  return (
    one.length === other.length &&
    one.every(({ session, detail }, index) => session === other[index]?.session && detail === other[index]?.detail)
  );
}
