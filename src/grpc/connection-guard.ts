import { Buffer } from "node:buffer";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { constants, type Http2Session, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { addressGroup } from "./address-group.ts";
import type { ConnectionLimits } from "./connection-limits.ts";

/** Why a connection was refused or cut off. */
export type CutReason =
  | "too_many_connections"
  | "too_many_of_address"
  | "no_first_request"
  | "bytes_without_call"
  | "too_many_control_frames"
  | "keepalive_timeout"
  | "outstayed"
  | "accept_failed";

/** What a guard needs besides its limits. */
export interface GuardOptions {
  /** Milliseconds that the longest call with a deadline takes: what its connection is given after it has been told to go. */
  readonly longestCallMs: number;
  /** Is told how many connections were refused or cut off since the last time: at once, then every ten seconds at most. */
  report(counts: ReadonlyMap<CutReason, number>): void;
}

const { NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_NO_ERROR } = constants;

/** Node publishes these when the headers of a call are complete, and when its stream is over: also of calls that no method takes. */
const STREAM_CREATED = "http2.server.stream.created";
const STREAM_CLOSED = "http2.server.stream.close";

/** How often all connections are looked at, in milliseconds, unless a limit is finer than that. */
const SWEEP_MS = 1000;
/** How many looks long a connection that was closed may take to go before its socket is destroyed. */
const LINGER_SWEEPS = 10;
const REPORT_MS = 10_000;
const MINUTE_MS = 60_000;
/** How far the age of one connection is from that of another, so that those that came together do not leave together. */
const JITTER = 0.1;
/** What may arrive between two looks while no call is open: what a peer had under way when its calls ended, and some headers. */
const STRAY_BYTES = 1024 * 1024;
/** A PING is free if this much was sent since the last: more than the answers to PINGs, so a call moved. See gRFC A8. */
const MORE_THAN_ACKS = 64;

/** What is known of a connection. */
class Connection {
  readonly socket: Socket;
  readonly group: string;
  readonly openedAt: number;
  readonly retireAt: number;
  /** Undefined until the first call has begun. */
  session: Http2Session | undefined;
  openCalls = 0;
  /** When the last call began or ended. */
  usedAt: number;
  used = false;
  bytesSeen = 0;
  /** When it was told to go; undefined if it was not. */
  retiredAt: number | undefined;
  /** When it was closed; undefined if it was not. */
  closedAt: number | undefined;
  pingedAt: number;
  answered = true;
  /** The frames of this minute that asked for an answer and moved no call. */
  controlFrames = 0;
  minuteStart: number;
  bytesSent = 0;

  constructor(socket: Socket, group: string, now: number, maxAgeMs: number) {
    this.socket = socket;
    this.group = group;
    this.openedAt = now;
    this.usedAt = now;
    this.pingedAt = now;
    this.minuteStart = now;
    const jitter = 1 + JITTER * (2 * Math.random() - 1);
    this.retireAt = maxAgeMs === 0 ? Number.POSITIVE_INFINITY : now + maxAgeMs * jitter;
  }
}

/**
 * Holds connections to their limits: refuses those that are too many, and cuts off those that never call, ask too much,
 * do nothing, are too old, or whose peer is gone.
 *
 * One look at all connections, each second, does what would otherwise take several timers for each.
 */
export class ConnectionGuard {
  readonly #limits: ConnectionLimits;
  readonly #options: GuardOptions;
  readonly #connections = new Map<string, Connection>();
  readonly #perGroup = new Map<string, number>();
  /** Sessions of other servers in this process are kept too, as undefined. */
  readonly #bySession = new WeakMap<object, Connection | undefined>();
  readonly #sweepMs: number;
  readonly #timer: NodeJS.Timeout;
  readonly #counts = new Map<CutReason, number>();
  #onGone: (() => void) | undefined;
  #reportedAt = Number.NEGATIVE_INFINITY;

  constructor(limits: ConnectionLimits, options: GuardOptions) {
    this.#limits = limits;
    this.#options = options;
    this.#sweepMs = sweepMs(limits);
    this.#timer = setInterval(() => this.#sweep(performance.now()), this.#sweepMs).unref();
    subscribe(STREAM_CREATED, this.#onStreamCreated);
    subscribe(STREAM_CLOSED, this.#onStreamClosed);
  }

  /** How many connections there are. */
  get size(): number {
    return this.#connections.size;
  }

  /** Whether a new connection may stay. If not, it is destroyed: the client sees UNAVAILABLE. */
  admit(socket: Socket): boolean {
    // Whoever uses the socket later listens too; until then an error must not end the process.
    socket.on("error", () => {});
    const { remoteAddress } = socket;
    if (remoteAddress === undefined) {
      // It is gone already.
      socket.destroy();
      return false;
    }
    const group = addressGroup(remoteAddress);
    const ofGroup = this.#perGroup.get(group) ?? 0;
    const { maxConnections, maxPerAddress, maxAgeMs } = this.#limits;
    if (isReached(maxConnections, this.size)) return this.#refuse(socket, "too_many_connections");
    if (isReached(maxPerAddress, ofGroup)) return this.#refuse(socket, "too_many_of_address");

    const key = keyOf(socket);
    const connection = new Connection(socket, group, performance.now(), maxAgeMs);
    this.#connections.set(key, connection);
    this.#perGroup.set(group, ofGroup + 1);
    socket.once("close", () => this.#forget(key, group));
    return true;
  }

  /** Counts what could not even be accepted. */
  acceptFailed(): void {
    this.#count("accept_failed");
  }

  /** Resolves when no connection is open. */
  async gone(): Promise<void> {
    if (this.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onGone = resolve;
    await promise;
  }

  /** Destroys all connections, and stops looking. */
  close(): void {
    clearInterval(this.#timer);
    unsubscribe(STREAM_CREATED, this.#onStreamCreated);
    unsubscribe(STREAM_CLOSED, this.#onStreamClosed);
    for (const { socket } of this.#connections.values()) socket.destroy();
    this.#report(Number.POSITIVE_INFINITY);
  }

  #refuse(socket: Socket, reason: CutReason): false {
    socket.destroy();
    this.#count(reason);
    return false;
  }

  #forget(key: string, group: string): void {
    this.#connections.delete(key);
    const left = (this.#perGroup.get(group) ?? 0) - 1;
    if (left > 0) this.#perGroup.set(group, left);
    else this.#perGroup.delete(group);
    if (this.size === 0) this.#onGone?.();
  }

  readonly #onStreamCreated = (message: unknown): void => {
    const { session } = (message as { stream: ServerHttp2Stream }).stream;
    if (session === undefined) return;
    const connection = this.#bySession.has(session) ? this.#bySession.get(session) : this.#adopt(session);
    if (connection === undefined) return;
    connection.openCalls++;
    connection.used = true;
  };

  readonly #onStreamClosed = (message: unknown): void => {
    const { stream } = message as { stream: ServerHttp2Stream };
    const connection = stream.session && this.#bySession.get(stream.session);
    if (connection === undefined) return;
    connection.openCalls--;
    connection.used = true;
    const code = stream.rstCode;
    // Clients cancel by CANCEL. No other code is of any use to them.
    if (code !== undefined && code !== NGHTTP2_NO_ERROR && code !== NGHTTP2_CANCEL) this.#onControlFrame(connection);
  };

  /** Finds the connection of a session whose first call begins. */
  #adopt(session: Http2Session): Connection | undefined {
    const connection = this.#connections.get(keyOf(session.socket));
    this.#bySession.set(session, connection);
    if (connection === undefined) return undefined;
    connection.session = session;
    connection.pingedAt = performance.now();
    session.on("ping", () => {
      const { bytesWritten } = connection.socket;
      const moved = bytesWritten - connection.bytesSent > MORE_THAN_ACKS;
      connection.bytesSent = bytesWritten;
      if (!moved) this.#onControlFrame(connection);
    });
    session.on("remoteSettings", () => this.#onControlFrame(connection));
    return connection;
  }

  #onControlFrame(connection: Connection): void {
    const now = performance.now();
    if (now - connection.minuteStart >= MINUTE_MS) {
      connection.minuteStart = now;
      connection.controlFrames = 0;
    }
    connection.controlFrames++;
    const { maxControlFrames } = this.#limits;
    if (maxControlFrames === 0 || connection.controlFrames <= maxControlFrames) return;
    // The words on which clients ask less often (gRFC A8).
    goAway(connection, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings");
    this.#cut(connection, "too_many_control_frames");
  }

  /** Destroys a connection in the next turn, when what it is being told has been written. */
  #cut(connection: Connection, reason: CutReason): void {
    if (connection.closedAt !== undefined) return;
    connection.closedAt = performance.now();
    this.#count(reason);
    setImmediate(() => connection.socket.destroy());
  }

  #sweep(now: number): void {
    for (const connection of this.#connections.values()) this.#look(connection, now);
    if (now - this.#reportedAt >= REPORT_MS) this.#report(now);
  }

  #look(connection: Connection, now: number): void {
    const { socket, session, closedAt } = connection;
    if (closedAt !== undefined) {
      if (now - closedAt >= LINGER_SWEEPS * this.#sweepMs) socket.destroy();
      return;
    }
    const { bytesRead } = socket;
    const arrived = bytesRead - connection.bytesSeen;
    connection.bytesSeen = bytesRead;
    if (connection.used) connection.usedAt = now;
    else if (connection.openCalls === 0 && arrived > STRAY_BYTES) this.#cut(connection, "bytes_without_call");
    connection.used = false;

    if (session === undefined) this.#lookAtNew(connection, now);
    else this.#lookAtUsed(connection, session, now);
  }

  #lookAtNew(connection: Connection, now: number): void {
    if (isReached(this.#limits.firstRequestTimeoutMs, now - connection.openedAt)) {
      this.#cut(connection, "no_first_request");
    }
  }

  #lookAtUsed(connection: Connection, session: Http2Session, now: number): void {
    const { idleTimeoutMs, maxAgeMs } = this.#limits;
    // It is closed by someone else: the server stops.
    if (session.closed) return;
    const isIdle = connection.openCalls === 0;
    const { retiredAt } = connection;
    if (retiredAt === undefined) {
      if (now >= connection.retireAt) retire(connection, "max_age", now);
      else if (isIdle && isReached(idleTimeoutMs, now - connection.usedAt)) retire(connection, "max_idle", now);
    } else if (isIdle) {
      connection.closedAt = now;
      session.close();
      return;
    } else if (now - retiredAt >= Math.max(this.#options.longestCallMs, maxAgeMs * (1 + JITTER)) + SWEEP_MS) {
      // Whatever was open has ended long ago, but the peer takes no notice.
      this.#cut(connection, "outstayed");
      return;
    }
    this.#askWhetherThere(connection, session, now);
  }

  /**
   * Sends PINGs, however much arrives: only who answers them sends whole frames. A peer that is stopped, gone, or that sends
   * headers for ever (CONTINUATION frames, between which nothing else may come) does not.
   */
  #askWhetherThere(connection: Connection, session: Http2Session, now: number): void {
    const { keepaliveTimeMs, keepaliveTimeoutMs } = this.#limits;
    const passed = now - connection.pingedAt;
    if (!connection.answered) {
      if (isReached(keepaliveTimeoutMs, passed)) this.#cut(connection, "keepalive_timeout");
    } else if (isReached(keepaliveTimeMs, passed)) {
      connection.pingedAt = now;
      connection.answered = !session.ping((error) => {
        connection.answered = error === null;
      });
    }
  }

  #count(reason: CutReason): void {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
    const now = performance.now();
    if (now - this.#reportedAt >= REPORT_MS) this.#report(now);
  }

  #report(now: number): void {
    if (this.#counts.size === 0) return;
    this.#reportedAt = now;
    this.#options.report(new Map(this.#counts));
    this.#counts.clear();
  }
}

/** Tells a peer to make its next calls elsewhere (GOAWAY). Its open calls go on, and so do PINGs, which a closed session would not send. */
function retire(connection: Connection, why: string, now: number): void {
  connection.retiredAt = now;
  goAway(connection, NGHTTP2_NO_ERROR, why);
}

function goAway({ session }: Connection, code: number, why: string): void {
  if (session === undefined || session.destroyed) return;
  // 0 stands for the last call that has begun: later ones can be made elsewhere without harm.
  session.goaway(code, 0, Buffer.from(why));
}

function isReached(limit: number, value: number): boolean {
  return limit > 0 && value >= limit;
}

/** What a connection is known by, here and inside node:http2, whatever wraps its socket. */
function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}

function sweepMs({ firstRequestTimeoutMs, idleTimeoutMs, maxAgeMs, ...rest }: ConnectionLimits): number {
  const times = [firstRequestTimeoutMs, idleTimeoutMs, maxAgeMs, rest.keepaliveTimeMs, rest.keepaliveTimeoutMs];
  const finest = Math.min(...times.filter((ms) => ms > 0), 4 * SWEEP_MS);
  return Math.max(1, finest / 4);
}
