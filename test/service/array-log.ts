import { setImmediate } from "node:timers/promises";
import type { Cancellable } from "../../src/repository/scope.ts";
import { Bell } from "../../src/service/bell.ts";
import { type Cursor, type Log, Tails } from "../../src/service/tail.ts";

/** Of a call that nobody calls off. */
export const SCOPE: Cancellable = { signal: new AbortController().signal };

/** An entry of an ArrayLog. */
export interface Entry {
  readonly position: number;
}

/** A log in an array, which is slow where a test wants it to be, and notes how it is used. */
export class ArrayLog implements Log<Entry> {
  readonly entries: Entry[] = [];
  /** What follows it. */
  readonly followers = new Set<() => void>();
  /** The pages that have been read. */
  readonly reads: { readonly after: number; readonly limit: number }[] = [];
  /** What each read waits for, and fails with if it does. */
  delay: () => Promise<void> = async () => {};

  /** Adds so many entries; between them, some positions are left out. */
  append(count: number, step = 1): void {
    for (let index = 0; index < count; index++) this.entries.push({ position: this.end + step });
  }

  /** Tells those who follow it that there is something new. */
  tell(): void {
    for (const follower of this.followers) follower();
  }

  get end(): number {
    return this.entries.at(-1)?.position ?? 0;
  }

  async latest({ signal }: Cancellable): Promise<number> {
    await this.delay();
    signal.throwIfAborted();
    return this.end;
  }

  async list(page: { readonly after: number; readonly limit: number }, { signal }: Cancellable): Promise<Entry[]> {
    this.reads.push(page);
    const found = this.entries.filter(({ position }) => position > page.after).slice(0, page.limit);
    await this.delay();
    signal.throwIfAborted();
    return found;
  }

  positionOf({ position }: Entry): number {
    return position;
  }

  follow(wake: () => void): () => void {
    const follower = () => wake();
    this.followers.add(follower);
    return () => void this.followers.delete(follower);
  }
}

/** A log that is read by its tail, and cursors in it. */
export function tailOf(log: ArrayLog) {
  const tails = new Tails<Entry>(() => log);
  const open = (after: number) => {
    const bell = new Bell();
    return { bell, cursor: tails.open("", after, bell) };
  };
  return { tails, open };
}

/** Lets all be done that waits for nothing. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await setImmediate();
}

/** Takes all that is there. */
export async function takeAll(cursor: Cursor<Entry>): Promise<Entry[]> {
  const taken: Entry[] = [];
  for (;;) {
    const page = await cursor.take(SCOPE);
    if (page.length === 0) return taken;
    taken.push(...page);
  }
}
