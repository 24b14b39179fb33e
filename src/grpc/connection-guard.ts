import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { constants, type Http2Session, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { addressGroup } from "./address-group.ts";
import { ClosedStreams } from "./closed-streams.ts";
import { Connection, keyOf } from "./connection.ts";
import { ConnectionCount } from "./connection-count.ts";
import { type ConnectionLimits, isReached, sweepMs } from "./connection-limits.ts";
import { CutConnections, type CutReason, type CutReport } from "./cut-connections.ts";
import { headerListSize, shrinkHeaderList } from "./header-list.ts";
import { longestJittered } from "./jittered.ts";
import { LoadShedding } from "./load-shedding.ts";
import { onSessionStart } from "./session-start.ts";

/** What a guard needs besides its limits. */
export interface GuardOptions {
  /**
   * Milliseconds that the longest call with a deadline takes: what its connection is given after it has been told to
   * go.
   */
  readonly longestCallMs: number;
  /** Is told what was cut off: at once, then every ten seconds at most. */
  readonly report: CutReport;
}

/** Node publishes this when the stream of a call is over, also of one that no method takes. */
const STREAM_CLOSED = "http2.server.stream.close";

/** How many looks long a connection that was closed may take to go before its socket is destroyed. */
const LINGER_SWEEPS = 10;

/**
 * What may arrive between two looks while no call is open: what was under way when the last one ended, and some
 * headers.
 */
const STRAY_BYTES = 1024 * 1024;

/**
 * Holds connections to their limits: refuses those that are too many, and cuts off those that never call, send what is
 * no call, or whose peer is gone. Those that are idle or old are told to go, and closed when their calls have ended.
 *
 * One look at all connections, each second, does what would take several timers for each. grpc-js has options for some
 * of it, but its PING on a connection that is told to go fails, and takes the open calls along.
 */
export class ConnectionGuard {
  /** All connections of the process: those that others look after have to be admitted here. */
  readonly count: ConnectionCount;
  readonly #limits: ConnectionLimits;
  readonly #longestCallMs: number;
  readonly #cutConnections: CutConnections;
  readonly #closedStreams = new ClosedStreams();
  readonly #shedding: LoadShedding;
  readonly #connections = new Map<string, Connection>();
  /** What a session has its connection by, as a property: a WeakMap would be looked at for every call. */
  readonly #connectionOf = Symbol("connection");
  readonly #endAdoption: () => void;
  readonly #sweepMs: number;
  readonly #timer: NodeJS.Timeout;
  #retiring = false;
  #onGone: (() => void) | undefined;

  constructor(limits: ConnectionLimits, { longestCallMs, report }: GuardOptions) {
    this.#limits = limits;
    this.#longestCallMs = longestCallMs;
    this.#cutConnections = new CutConnections(report);
    this.#shedding = new LoadShedding(
      () => this.#connections.values(),
      () => this.#cutConnections.add("overload"),
    );
    this.count = new ConnectionCount(limits, (reason) => this.#cutConnections.add(reason));
    this.#sweepMs = sweepMs(limits);
    // After what has arrived has been read: if this process is late itself, its peers are not to blame.
    this.#timer = setInterval(() => setImmediate(() => this.#sweep()), this.#sweepMs).unref();
    this.#endAdoption = onSessionStart((session) => this.#adopt(session));
    subscribe(STREAM_CLOSED, this.#onStreamClosed);
  }

  /** Calls `enter` when a new connection may stay. If it may not, it is destroyed: the client sees UNAVAILABLE. */
  admit(socket: Socket, enter: () => void): void {
    if (!this.count.admit(socket)) return;
    this.#shedding.receive(addressGroup(socket.remoteAddress ?? ""), {
      enter: () => {
        if (socket.destroyed) return;
        this.watch(socket);
        enter();
      },
      turnAway: () => {
        this.#cutConnections.add("overload");
        socket.destroy();
      },
    });
  }

  /** Notes a call that has cost time and come to nothing. Connections are shed when these take too much of it. */
  callWasted(): void {
    if (this.#limits.shedsConnections) this.#shedding.waste();
  }

  /** Holds a connection of HTTP/2 that was admitted by the count to the limits from now on. */
  watch(socket: Socket): void {
    const key = keyOf(socket);
    this.#connections.set(key, new Connection(socket, performance.now(), this.#limits.maxAgeMs));
    socket.once("close", () => {
      this.#connections.delete(key);
      if (this.#connections.size === 0) this.#onGone?.();
    });
  }

  /** Counts a connection that could not even be accepted. */
  acceptFailed(): void {
    this.#cutConnections.add("accept_failed");
  }

  /** Tells all peers to make their next calls elsewhere: those that never called when they do. Open calls go on. */
  retire(): void {
    this.#retiring = true;
    this.#shedding.close();
    const now = performance.now();
    for (const connection of this.#connections.values()) {
      if (connection.retiredAt === undefined) connection.retire("stopping", now);
    }
  }

  /** Closes each connection that has called when no call is open on it, and resolves when none at all is left. */
  async gone(): Promise<void> {
    if (this.#connections.size === 0) return;
    for (const { session } of this.#connections.values()) session?.close();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onGone = resolve;
    await promise;
  }

  /** Destroys all connections, and looks at none any more. */
  close(): void {
    clearInterval(this.#timer);
    this.#shedding.close();
    this.#endAdoption();
    unsubscribe(STREAM_CLOSED, this.#onStreamClosed);
    for (const { socket } of this.#connections.values()) socket.destroy();
    this.#cutConnections.flush(Number.POSITIVE_INFINITY);
  }

  readonly #onStreamClosed = (message: unknown): void => {
    const { stream } = message as { stream: ServerHttp2Stream };
    const { id = 0, session, rstCode = 0 } = stream;
    const connection = (session as { [key: symbol]: Connection | undefined } | undefined)?.[this.#connectionOf];
    if (session === undefined || connection === undefined) return;
    this.#closedStreams.add(stream);
    connection.openCalls--;
    connection.used = true;
    if (rstCode === constants.NGHTTP2_CANCEL) this.#onCancel(connection, session, id);
    // Clients cancel with CANCEL. What breaks in another way does not in good faith, if there is much of it.
    const isFaulty = rstCode !== constants.NGHTTP2_NO_ERROR && rstCode !== constants.NGHTTP2_CANCEL;
    if (isFaulty && !session.destroyed) this.#onControlFrame(connection);
  };

  /**
   * Finds the connection of a session whose first call begins. Sessions of other servers in this process have none
   * here.
   */
  #adopt(session: Http2Session): void {
    const connection = this.#connections.get(keyOf(session.socket));
    if (connection === undefined) return;
    Object.assign(session, { [this.#connectionOf]: connection });
    connection.session = session;
    connection.pingedAt = performance.now();
    session.prependListener("stream", (stream, headers, _flags, raw: readonly string[]) => {
      this.#onCall(connection, stream, headers, raw);
    });
    session.on("ping", () => {
      if (!connection.takeMoved()) this.#onControlFrame(connection);
    });
    session.on("remoteSettings", () => this.#onControlFrame(connection));
    if (this.#retiring) connection.retire("stopping", performance.now());
  }

  #onCall(
    connection: Connection,
    { id = 0 }: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    raw: readonly string[],
  ): void {
    connection.begin();
    // Of what has been read already, nothing more becomes a call. Not at once: grpc-js throws if it cannot answer a
    // call that begins.
    if (connection.closedAt !== undefined) process.nextTick(() => connection.session?.destroy());
    connection.instantCancels.begin(id, connection.socket.bytesRead);
    const { maxHeaderListSize } = this.#limits;
    const size = maxHeaderListSize > 0 ? headerListSize(raw) : 0;
    if (size > maxHeaderListSize) {
      shrinkHeaderList(headers, size, maxHeaderListSize);
      this.#onControlFrame(connection);
    }
  }

  #onCancel(connection: Connection, session: Http2Session, streamId: number): void {
    const { maxInstantCancels } = this.#limits;
    const count = connection.instantCancels.cancel(streamId, connection.socket.bytesRead);
    if (count > 0) this.callWasted();
    if (maxInstantCancels === 0 || count <= maxInstantCancels || session.destroyed) return;
    connection.goAway(constants.NGHTTP2_ENHANCE_YOUR_CALM, "too_many_cancels");
    this.#cut(connection, "too_many_instant_cancels");
    session.destroy();
  }

  #onControlFrame(connection: Connection): void {
    // Many more may arrive in the turn that ends it.
    if (connection.closedAt !== undefined) return;
    const { maxControlFrames } = this.#limits;
    if (maxControlFrames === 0 || connection.countControlFrame() <= maxControlFrames) return;
    // The words on which clients ask less often (gRFC A8).
    connection.goAway(constants.NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings");
    this.#cut(connection, "too_many_control_frames");
  }

  /** Destroys a connection, after what it is being told. */
  #cut(connection: Connection, reason: CutReason): void {
    if (connection.closedAt !== undefined) return;
    connection.closedAt = performance.now();
    this.#cutConnections.add(reason);
    setImmediate(() => connection.socket.destroy());
  }

  #sweep(): void {
    const now = performance.now();
    for (const connection of this.#connections.values()) this.#look(connection, now);
    this.#cutConnections.flush(now);
  }

  #look(connection: Connection, now: number): void {
    const { session, closedAt, used } = connection;
    if (closedAt !== undefined) {
      if (now - closedAt >= LINGER_SWEEPS * this.#sweepMs) connection.socket.destroy();
      return;
    }
    const arrived = connection.takeBytesRead();
    connection.used = false;
    if (used) connection.usedAt = now;

    if (!used && connection.openCalls === 0 && arrived > STRAY_BYTES) this.#cut(connection, "bytes_without_call");
    else if (session !== undefined) this.#lookAtSession(connection, session, now);
    else if (isReached(this.#limits.firstRequestTimeoutMs, now - connection.openedAt)) {
      this.#cut(connection, "no_first_request");
    }
  }

  #lookAtSession(connection: Connection, session: Http2Session, now: number): void {
    // By its peer, or because the server stops.
    if (session.closed) connection.retiredAt ??= now;
    if (session.destroyed) {
      connection.closedAt = now;
    } else if (connection.retiredAt === undefined) {
      this.#retireIfDue(connection, now);
    } else if (connection.openCalls === 0) {
      connection.closedAt = now;
      session.close();
    } else if (now - connection.retiredAt >= this.#longestLeaveMs()) {
      this.#cut(connection, "outstayed");
    }
    // A session that is closed sends no PING.
    if (!session.closed && !session.destroyed) this.#askWhetherThere(connection, session, now);
  }

  #retireIfDue(connection: Connection, now: number): void {
    const { idleTimeoutMs } = this.#limits;
    if (now >= connection.retireAt) connection.retire("max_age", now);
    else if (connection.openCalls === 0 && isReached(idleTimeoutMs, now - connection.usedAt)) {
      connection.retire("max_idle", now);
    }
  }

  /**
   * How long calls may be open that had begun when their connection was told to go: by then a deadline or their age has
   * ended them.
   */
  #longestLeaveMs(): number {
    return Math.max(this.#longestCallMs, longestJittered(this.#limits.maxAgeMs)) + this.#sweepMs;
  }

  /**
   * Sends PINGs, however much arrives: only who answers them sends whole frames. A peer that is stopped, gone, or that
   * sends headers for ever (CONTINUATION frames, between which nothing else may come) does not.
   */
  #askWhetherThere(connection: Connection, session: Http2Session, now: number): void {
    const { keepaliveTimeMs, keepaliveTimeoutMs } = this.#limits;
    const passed = now - connection.pingedAt;
    if (!connection.answered) {
      if (isReached(keepaliveTimeoutMs, passed)) this.#cut(connection, "keepalive_timeout");
    } else if (isReached(keepaliveTimeMs, passed)) {
      connection.pingedAt = now;
      connection.answered = false;
      session.ping((error) => {
        connection.answered = error === null;
      });
    }
  }
}
