import { randomUUID } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import pLimit from "p-limit";
import type { Bus } from "../bus/bus.ts";
import type { Presence, Presences } from "../repository/presences.ts";
import type { Bell } from "./bell.ts";
import { PRESENCE_SCOPE, type PresenceView, presenceTopic, WatchedTopic } from "./presence-view.ts";

/** How long a presence is shown, and how often it is shown again, in milliseconds. */
const LIFETIME_MS = 15_000;
const RENEWAL_MS = 5000;

/** So many are written at a time. */
const SLICE = 5000;

/** One presence, until it is left. */
export interface Stay {
  readonly session: string;
  /** Shows another detail. */
  update(detail: string): void;
  /** Ends it. */
  leave(): void;
}

/**
 * Keeps the presences of this process shown for as long as they last, and tells who else is there. When a process dies,
 * its presences go after LIFETIME_MS.
 */
export class PresenceKeeper {
  readonly #presences: Presences;
  readonly #bus: Bus;
  /** Leaves connections for others. */
  readonly #inTurn = pLimit(1);
  readonly #own = new Map<string, Presence>();
  readonly #watched = new Map<string, WatchedTopic>();
  /**
   * What is to be written. One after the other, so that a presence which ends is not shown again by what was on its
   * way.
   */
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

  /** Watches who is at a topic, this process's own included. The bell rings when that has changed. */
  watch(topic: string, bell: Bell): PresenceView {
    const watched = this.#watched.get(topic) ?? new WatchedTopic(topic, this.#presences, this.#bus, this.#inTurn);
    this.#watched.set(topic, watched);
    watched.bells.add(bell);
    return {
      loaded: watched.loaded,
      get present() {
        return watched.present;
      },
      get members() {
        return watched.members;
      },
      movesSince: (before) => watched.movesSince(before),
      close: () => {
        watched.bells.delete(bell);
        if (watched.bells.size > 0 || this.#watched.get(topic) !== watched) return;
        watched.close();
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
      await setImmediate();
      const shown = [...this.#toShow].flatMap((session) => this.#own.get(session) ?? []);
      const removed = [...this.#toRemove];
      const topics = [...this.#news];
      for (const pending of [this.#toShow, this.#toRemove, this.#news]) pending.clear();
      const written = await this.#writeSlices(shown, removed);
      // Of what could not be written, others are told when it is shown again, or when its time is over.
      for (const topic of topics) {
        if (written) this.#bus.publish(presenceTopic(topic));
        else this.#news.add(topic);
      }
    } while (this.#toShow.size > 0 || this.#toRemove.size > 0);
    this.#writing = undefined;
  }

  async #writeSlices(shown: readonly Presence[], removed: readonly string[]): Promise<boolean> {
    try {
      for (let start = 0; start < shown.length; start += SLICE)
        await this.#presences.show(shown.slice(start, start + SLICE), LIFETIME_MS, PRESENCE_SCOPE);
      for (let start = 0; start < removed.length; start += SLICE)
        await this.#presences.remove(removed.slice(start, start + SLICE), PRESENCE_SCOPE);
      return true;
    } catch {
      return false;
    }
  }
}
