import type { Cancellable } from "./scope.ts";

/** Somebody who is somewhere now: in a chat room, or at a document. */
export interface Presence {
  /** What they are at. */
  readonly topic: string;
  /** Tells presences apart: one person may be there several times. A session stays at its topic. */
  readonly session: string;
  readonly userId: string;
  /** What there is to know of it, for those who are there too. */
  readonly detail: string;
}

/**
 * Who is where, across all replicas. A presence is shown for a time, and shown again before that is over: those of a
 * process that has died go by themselves. Of the texts, only a user id may hold U+0000. This is the contract of every
 * adapter.
 */
export interface Presences {
  /** Shows these presences for `lifetimeMs` from now, in place of what was shown for the same sessions. */
  show(presences: readonly Presence[], lifetimeMs: number, scope: Cancellable): Promise<void>;

  /** Removes the presences of these sessions. */
  remove(sessions: readonly string[], scope: Cancellable): Promise<void>;

  /** The presences at a topic whose time is not over, in the order of the sessions. */
  list(topic: string, scope: Cancellable): Promise<Presence[]>;
}
