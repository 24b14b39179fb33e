import { StoreUnavailableError } from "../../domain/errors.ts";
import type { Cancellable } from "../scope.ts";

/** So many statements are under way at a time; what is asked meanwhile goes into the next one. */
const MAX_STATEMENTS = 4;
/** So many keys go into one statement. */
const MAX_KEYS = 500;
/** After so many milliseconds a statement is slow, and it is worth knowing whether anybody still waits for it. */
const SLOW_MS = 20;
/** Timers that run longer go off at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Reads what a statement finds for each of these keys, by key. */
export type ReadAll<T> = (keys: readonly string[], scope: Cancellable) => Promise<ReadonlyMap<string, T>>;

interface Reader<T> {
  readonly key: string;
  readonly scope: Cancellable;
  /** When it was asked, on the clock of performance.now(). */
  readonly since: number;
  resolve(found: T | undefined): void;
  reject(error: unknown): void;
}

/**
 * Reads one key for each of many callers, with few statements: the keys that are asked for while other statements are
 * under way share the next one. A statement and its answer cost the same for one key and for ten. A statement that
 * nobody waits for any more is stopped.
 */
export class JointReads<T> {
  readonly #readAll: ReadAll<T>;
  #waiting: Reader<T>[] = [];
  #statements = 0;
  #scheduled = false;

  constructor(readAll: ReadAll<T>) {
    this.#readAll = readAll;
  }

  /** What there is with this key, now; undefined if there is nothing. Fails as the statement does. */
  read(key: string, scope: Cancellable): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ key, scope, since: performance.now(), resolve, reject });
      this.#schedule();
    });
  }

  /** Begins a statement when all have asked who ask in this turn of the event loop. */
  #schedule(): void {
    if (this.#scheduled || this.#statements === MAX_STATEMENTS || this.#waiting.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      void this.#readNext();
    });
  }

  async #readNext(): Promise<void> {
    const readers = this.#waiting.splice(0, MAX_KEYS).filter(stillWaits);
    if (readers.length === 0) {
      this.#schedule();
      return;
    }
    this.#statements++;
    this.#schedule();
    const keys = new Set(readers.map(({ key }) => key));
    const scope = new JointScope(readers.map((reader) => reader.scope));
    try {
      const found = await this.#readAll([...keys], scope);
      for (const { key, resolve } of readers) resolve(found.get(key));
    } catch (error) {
      for (const { scope: own, reject } of readers) reject(own.signal.aborted ? own.signal.reason : error);
    } finally {
      scope.end();
      this.#statements--;
      this.#schedule();
    }
  }
}

/** Tells whether a reader waits; after a short time only, because until then it is not worth asking. */
function stillWaits<T>({ scope, since, reject }: Reader<T>): boolean {
  if (performance.now() - since < SLOW_MS || !scope.signal.aborted) return true;
  reject(scope.signal.reason);
  return false;
}

/** Called off when all of its parts are, or their time is over. */
class JointScope implements Cancellable {
  readonly #parts: readonly Cancellable[];
  readonly #controller = new AbortController();
  readonly #over = new AbortController();
  #timer: NodeJS.Timeout;

  constructor(parts: readonly Cancellable[]) {
    this.#parts = parts;
    // Not at once, because most statements are over before anybody loses interest.
    this.#timer = setTimeout(() => this.#watch(), SLOW_MS);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  timeoutMs(): number | undefined {
    const times = this.#parts.map((part) => part.timeoutMs?.() ?? Number.POSITIVE_INFINITY);
    const longest = Math.max(...times);
    return longest === Number.POSITIVE_INFINITY ? undefined : longest;
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#over.abort();
  }

  #watch(): void {
    const timeLeft = this.timeoutMs();
    if (timeLeft !== undefined && timeLeft <= LONGEST_TIMER_MS)
      this.#timer = setTimeout(() => this.#controller.abort(noAnswer()), timeLeft);
    let left = this.#parts.length;
    const onAbort = (reason: unknown): void => {
      left--;
      if (left === 0) this.#controller.abort(reason);
    };
    for (const { signal } of this.#parts) {
      if (signal.aborted) onAbort(signal.reason);
      else signal.addEventListener("abort", () => onAbort(signal.reason), { once: true, signal: this.#over.signal });
    }
  }
}

function noAnswer(): StoreUnavailableError {
  return new StoreUnavailableError("the database does not answer in time");
}
