import { type UnaryCalls, UnaryConnection } from "./unary-connection.ts";

/** The first time that a channel waits before it tries a server again that would not have it, and how that grows. */
const FIRST_BACKOFF_MS = 1000;
const BACKOFF_GROWTH = 1.6;

/**
 * One and the same unary call over and over, through a channel as clients of gRPC have them: calls wait, in their order,
 * until the connection has room for them. If the server wants calls to go elsewhere, there is a new connection at once, and
 * calls wait for it; if it hangs up on a new one, calls fail until it is time to try again.
 */
export class UnaryChannel {
  readonly #calls: UnaryCalls;
  #connection: UnaryConnection;
  /** Connections that finish their calls. */
  readonly #leaving = new Set<UnaryConnection>();
  readonly #waiting: number[] = [];
  #head = 0;
  #backoffMs = FIRST_BACKOFF_MS;
  #failsUntil = Number.NEGATIVE_INFINITY;
  /** How often it has had to connect again. */
  reconnects = 0;

  constructor(calls: UnaryCalls) {
    this.#calls = calls;
    this.#connection = new UnaryConnection(calls);
  }

  /** Starts a call, or has it wait for its turn. */
  call(startedAt: number): void {
    if (startedAt < this.#failsUntil) this.#calls.onEnd(startedAt, "broken");
    else this.#waiting.push(startedAt);
  }

  /** Cancels the calls that started before a time, as clients do when a deadline passes. */
  cancelBefore(time: number): void {
    for (; (this.#waiting[this.#head] ?? time) < time; this.#head++) {
      this.#calls.onEnd(this.#waiting[this.#head] ?? 0, "broken");
    }
    for (const connection of [this.#connection, ...this.#leaving]) connection.cancelBefore(time);
  }

  /** Sends what there is room for. */
  flush(now: number): void {
    if (this.#connection.isLeaving) this.#replace(now);
    while (this.#head < this.#waiting.length && this.#connection.hasRoom) {
      this.#backoffMs = FIRST_BACKOFF_MS;
      this.#connection.call(this.#waiting[this.#head++] ?? 0);
    }
    if (this.#head > 1000) this.#head -= this.#waiting.splice(0, this.#head).length;
    for (const connection of this.#leaving) {
      connection.flush();
      if (connection.isIdle) this.#leave(connection);
    }
    this.#connection.flush();
  }

  close(): void {
    for (const connection of [this.#connection, ...this.#leaving]) connection.close();
  }

  #replace(now: number): void {
    if (now < this.#failsUntil) return;
    if (!this.#connection.isReady && this.#failsUntil === Number.NEGATIVE_INFINITY) {
      // Hung up on before it could be used.
      for (; this.#head < this.#waiting.length; this.#head++)
        this.#calls.onEnd(this.#waiting[this.#head] ?? 0, "broken");
      this.#failsUntil = now + this.#backoffMs;
      this.#backoffMs *= BACKOFF_GROWTH;
      return;
    }
    this.#failsUntil = Number.NEGATIVE_INFINITY;
    this.#leaving.add(this.#connection);
    this.#connection = new UnaryConnection(this.#calls);
    this.reconnects++;
  }

  #leave(connection: UnaryConnection): void {
    this.#leaving.delete(connection);
    connection.close();
  }
}
