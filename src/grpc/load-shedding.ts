import { performance } from "node:perf_hooks";
import type { Connection } from "./connection.ts";
import { type Newcomer, WaitingLine } from "./waiting-line.ts";

/** How long it is watched what becomes of calls before anything is done about it, in milliseconds. */
const WINDOW_MS = 100;

/** About what a call costs that comes to nothing, in milliseconds. */
const WASTE_MS = 0.02;

/** So much of the time may be lost on such calls. */
const MAX_WASTED_SHARE = 1 / 8;

/**
 * Connections are let in while the event loop is busy for less than this share of the time: soon after others have been
 * shed, and later.
 */
const CALM_SHARE = 0.6;
const SETTLED_SHARE = 0.9;
const SETTLED_MS = 1000;

/** How many more connections there may be after a window. */
const GROWTH = 1 / 4;

/** To look at the clock takes long: one wasted call in so many does. */
const LOOK_EVERY = 64;

/** What there is to know of a connection, and to do. */
export type Sheddable = Pick<Connection, "address" | "retiredAt" | "closedAt" | "takeCalls" | "retire">;

/**
 * Sheds whole connections when calls that come to nothing take the time of the others.
 *
 * To refuse a call takes about as long as to answer one from memory, and so does a call that its client has given up
 * before it was read. So the connections that call most are told to call elsewhere (GOAWAY), as many as it takes;
 * their open calls go on. Clients of gRPC connect again at once: to another replica, or to this one, where they wait
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
  /** Whether connections have been shed in this turn of the event loop: what that does shows in the next. */
  #shedThisTurn = false;
  #shedAt = 0;
  /** When too much time was wasted last, whether or not anybody could be shed. */
  #drownedAt = 0;

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
    else if (!this.#shedThisTurn && this.#wasted % LOOK_EVERY === 0) this.#lookWithinTurn();
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
    for (const connection of this.#connections()) connection.takeCalls();
  }

  #lookWithinTurn(): void {
    const now = performance.now();
    if (now - this.#windowStart < WINDOW_MS) return;
    this.#shedIfDrowning(now);
    this.#startWindow(now);
  }

  #lookBetweenTurns(): void {
    if (this.#closed) return;
    this.#timer = undefined;
    const now = performance.now();
    if (this.#shedThisTurn) this.#shedThisTurn = false;
    else if (!this.#shedIfDrowning(now)) this.#letIn(now);
    this.#line.turnAwayOverdue(now);
    if (this.#shedAddresses.size > 0 || this.#wasted > 0) this.#watch();
  }

  #shedIfDrowning(now: number): boolean {
    if (this.#wasted * WASTE_MS < (now - this.#windowStart) * MAX_WASTED_SHARE) return false;
    const callers = [...this.#connections()]
      .filter(({ retiredAt, closedAt }) => retiredAt === undefined && closedAt === undefined)
      .map((connection) => ({ connection, calls: connection.takeCalls() }));
    const shed = heaviest(callers, this.#wasted);
    for (const connection of shed) {
      connection.retire("overload", now);
      this.#shedAddresses.add(connection.address);
      this.#onShed();
    }
    this.#shedThisTurn = shed.length > 0;
    this.#drownedAt = now;
    if (this.#shedThisTurn) this.#shedAt = now;
    // Beside others, the one that is left can be shed.
    else if (now - this.#shedAt > SETTLED_MS) this.#line.letIn(1);
    return true;
  }

  #letIn(now: number): void {
    const { utilization } = performance.eventLoopUtilization(this.#utilization);
    if (utilization > (now - this.#drownedAt < SETTLED_MS ? CALM_SHARE : SETTLED_SHARE)) return;
    const inside = [...this.#connections()].length;
    this.#line.letIn(Math.max(1, Math.floor(inside * GROWTH)));
    if (this.#line.length === 0) this.#shedAddresses.clear();
  }
}

/**
 * Which connections have made the most of the calls: those that made as many as were wasted, or half of all if that is
 * less, the last of them whole; never all that call.
 */
export function heaviest<T>(
  callers: readonly { readonly connection: T; readonly calls: number }[],
  wasted: number,
): T[] {
  const sorted = callers.filter(({ calls }) => calls > 0).toSorted((one, other) => other.calls - one.calls);
  const all = sorted.reduce((sum, { calls }) => sum + calls, 0);
  const shed: T[] = [];
  let left = Math.min(wasted, all / 2);
  for (const { connection, calls } of sorted.slice(0, -1)) {
    if (left <= 0) break;
    left -= calls;
    shed.push(connection);
  }
  return shed;
}
