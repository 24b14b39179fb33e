import { performance } from "node:perf_hooks";
import type { Connection } from "./connection.ts";
import { type Newcomer, WaitingLine } from "./waiting-line.ts";

/**
 * How long it is watched what becomes of calls before anything is done about it, in milliseconds; and before more is
 * done in a turn of the event loop that goes on all the same.
 */
const WINDOW_MS = 100;
const NEXT_WINDOW_MS = 50;

/** About what a call costs that comes to nothing, in milliseconds. */
const WASTE_MS = 0.02;

/** So much of the time may be lost on such calls. */
const MAX_WASTED_SHARE = 1 / 8;

/** While the event loop is busy for less than this share of the time, connections are let in. */
const CALM_SHARE = 0.6;
/** So they are when it has not been busier than this for so many milliseconds. */
const SETTLED_SHARE = 0.95;
const SETTLED_MS = 1000;

/** By what share of those there are more connections are let in after a window, at least; twice as many at most. */
const LEAST_GROWTH = 1 / 4;

/** To look at the clock takes long: one wasted call in so many does. */
const LOOK_EVERY = 64;

/** What there is to know of a connection, and to do. */
export type Sheddable = Pick<Connection, "address" | "used" | "retiredAt" | "closedAt" | "takeCalls" | "retire">;

/**
 * Sheds whole connections when calls that come to nothing take the time of the others.
 *
 * To refuse a call takes about as long as to answer one from memory, and so does a call that its client has given up
 * before it was read. So the connections that call most are told to call elsewhere (GOAWAY), as many as it takes; while
 * a turn of the event loop goes on all the same, half of the others too. Their open calls go on. Clients of gRPC connect again at once: to another replica, or to this one, where they wait
 * until there is time for them, ten seconds at most. That costs nothing, and their calls wait with them, until their
 * deadlines. Newcomers from other addresses do not wait.
 */
export class LoadShedding {
  readonly #connections: () => Iterable<Sheddable>;
  readonly #onShed: () => void;
  readonly #line = new WaitingLine();
  /** Since the window began. */
  #wasted = 0;
  #windowStart = 0;
  #utilization = performance.eventLoopUtilization();
  /** Runs while there is anything to watch. */
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** Where connections have been shed whose successors are to wait; see addressGroup. */
  readonly #shedAddresses = new Set<string>();
  /** Whether connections have been shed since the last look between turns: what that does shows in the next turn. */
  #hasShed = false;
  /** Whether a look within this turn of the event loop has shed connections. */
  #hasShedWithin = false;
  #shedAt = 0;
  /** When the event loop was too busy for more connections last. */
  #busyAt = 0;

  /** Takes the connections there are, and what is told of each that is shed. */
  constructor(connections: () => Iterable<Sheddable>, onShed: () => void) {
    this.#connections = connections;
    this.#onShed = onShed;
  }

  /** Notes a call that has cost time and come to nothing. */
  waste(): void {
    this.#wasted++;
    if (this.#closed) return;
    if (this.#timer === undefined) this.#watch();
    // A turn may take seconds when that many calls have piled up.
    else if (this.#wasted % LOOK_EVERY === 0) this.#lookWithinTurn();
  }

  /** Lets a newcomer from this address in: now, or when there is time again. */
  receive(address: string, newcomer: Newcomer): void {
    if (this.#shedAddresses.has(address)) this.#line.join(newcomer, performance.now());
    else newcomer.enter();
  }

  /** Turns away who waits. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#shedAddresses.clear();
    this.#line.clear();
  }

  #watch(): void {
    this.#startWindow(performance.now());
    // When the sockets have been read, everything that has arrived has been seen.
    this.#timer = setTimeout(() => setImmediate(() => this.#lookBetweenTurns()), WINDOW_MS).unref();
  }

  #startWindow(now: number): void {
    this.#wasted = 0;
    this.#windowStart = now;
    this.#utilization = performance.eventLoopUtilization();
    this.#takeCallers();
  }

  /** The connections that have not been told to go, and how many calls each has begun since this was asked last. */
  #takeCallers(): Caller[] {
    return [...this.#connections()]
      .filter(({ retiredAt, closedAt }) => retiredAt === undefined && closedAt === undefined)
      .map((connection) => ({ connection, calls: connection.takeCalls() }));
  }

  #lookWithinTurn(): void {
    if (this.#hasShed && !this.#hasShedWithin) return;
    const now = performance.now();
    if (now - this.#windowStart < (this.#hasShedWithin ? NEXT_WINDOW_MS : WINDOW_MS)) return;
    this.#shedIfDrowning(now);
    this.#startWindow(now);
    if (!this.#hasShed || this.#hasShedWithin) return;
    this.#hasShedWithin = true;
    setImmediate(() => {
      this.#hasShedWithin = false;
    });
  }

  #lookBetweenTurns(): void {
    if (this.#closed) return;
    this.#timer = undefined;
    const now = performance.now();
    if (this.#hasShed) this.#hasShed = false;
    else if (!this.#shedIfDrowning(now)) this.#letIn(now);
    this.#line.turnAwayOverdue(now);
    if (this.#shedAddresses.size > 0 || this.#wasted > 0) this.#watch();
  }

  #shedIfDrowning(now: number): boolean {
    if (this.#wasted * WASTE_MS < (now - this.#windowStart) * MAX_WASTED_SHARE) return false;
    this.#busyAt = now;
    const callers = this.#takeCallers();
    const shed = this.#hasShedWithin ? mostOf(callers, this.#wasted) : heaviest(callers, this.#wasted);
    for (const connection of shed) {
      connection.retire("overload", now);
      this.#shedAddresses.add(connection.address);
      this.#onShed();
    }
    if (shed.length > 0) {
      this.#hasShed = true;
      this.#shedAt = now;
    }
    // Beside others, the one that is left can be shed.
    else if (!this.#hasShed && now - this.#shedAt > SETTLED_MS) this.#line.letIn(1);
    return true;
  }

  #letIn(now: number): void {
    const { utilization } = performance.eventLoopUtilization(this.#utilization);
    if (utilization > SETTLED_SHARE) this.#busyAt = now;
    if (utilization > (now - this.#busyAt < SETTLED_MS ? CALM_SHARE : SETTLED_SHARE)) return;
    const growth = Math.max(LEAST_GROWTH, Math.min(CALM_SHARE / utilization - 1, 1));
    this.#line.letIn(Math.max(1, Math.floor(this.#takeCallers().length * growth)));
    if (this.#line.length === 0) this.#shedAddresses.clear();
  }
}

/** A connection, and how many calls it has begun in a window. */
export interface Caller<T = Sheddable> {
  readonly connection: T;
  readonly calls: number;
}

function sumOfCalls(callers: readonly Caller<unknown>[]): number {
  return callers.reduce((sum, { calls }) => sum + calls, 0);
}

/**
 * Which connections have made the most of the calls: those that made as many as were wasted, or half of all if that is
 * less, the last of them whole; never all that call.
 */
export function heaviest<T>(callers: readonly Caller<T>[], wasted: number): T[] {
  const sorted = mostCallsFirst(callers).filter(({ calls }) => calls > 0);
  const shed: T[] = [];
  let left = Math.min(wasted, sumOfCalls(callers) / 2);
  for (const { connection, calls } of sorted.slice(0, -1)) {
    if (left <= 0) break;
    left -= calls;
    shed.push(connection);
  }
  return shed;
}

/**
 * Which connections are shed when a turn of the event loop goes on after the heaviest have been: half of those that call
 * at all. What has piled up at a connection is read in one go, so in a long turn it is not known yet who calls most.
 * None if it is others whose calls are still being refused: those that have been shed.
 */
export function mostOf<T extends { readonly used: boolean }>(callers: readonly Caller<T>[], wasted: number): T[] {
  if (sumOfCalls(callers) < wasted / 4) return [];
  const calling = mostCallsFirst(callers).filter(({ calls, connection }) => calls > 0 || connection.used);
  return calling.slice(0, Math.floor(calling.length / 2)).map(({ connection }) => connection);
}

function mostCallsFirst<T>(callers: readonly Caller<T>[]): Caller<T>[] {
  return callers.toSorted((one, other) => other.calls - one.calls);
}
