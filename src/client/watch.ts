import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type CallOptions, type Client, Code, ConnectError } from "@connectrpc/connect";
import type { UserService } from "../gen/user/v1/user_service_pb.ts";
import { WatchEventType, type WatchUsersResponse } from "../gen/user/v1/watch_pb.ts";
import { Backoff, isPassing } from "./backoff.ts";
import { readFailure } from "./failure.ts";

/** The part of a client that watches. */
export type WatchingClient = Pick<Client<typeof UserService>, "watchUsers">;

/** From where on users are watched, and how. */
export interface WatchOptions extends Pick<CallOptions, "headers" | "signal"> {
  /** Begins with all users there are, and a SNAPSHOT_END. */
  readonly snapshot?: boolean;
  /** Goes on after the event that had this token, perhaps of another process. */
  readonly resumeToken?: string;
  /**
   * What happens when the changes since then are no longer kept: the watch fails with OUT_OF_RANGE, or begins again
   * with a snapshot, after which users whom it did not name are gone. It fails by default.
   */
  readonly onExpired?: "fail" | "snapshot";
  /**
   * Time without an event after which the service is to say that it is there, in milliseconds, from 100; 5000 by
   * default.
   */
  readonly heartbeatMs?: number;
  /** Hands heartbeats out as well, whose tokens are newer than those of the last change. Not by default. */
  readonly heartbeats?: boolean;
  /** Is told of each interruption, before the watch goes on. */
  readonly onInterrupted?: (error: ConnectError) => void;
}

const HEARTBEAT_MS = 5000;
/** A call on which nothing is heard for so many heartbeats is taken for dead. */
const SILENT_HEARTBEATS = 4;

/** The changes of users, over as many calls as it takes. */
export class Watch implements AsyncIterableIterator<WatchUsersResponse>, AsyncDisposable {
  readonly #client: WatchingClient;
  readonly #options: WatchOptions;
  readonly #heartbeatMs: number;
  readonly #leaving = new AbortController();
  readonly #over: AbortSignal;
  readonly #events: AsyncGenerator<WatchUsersResponse>;
  readonly #backoff = new Backoff();
  #resumeToken: string;
  #snapshot: boolean;
  #revision = -1n;

  constructor(client: WatchingClient, options: WatchOptions) {
    const { heartbeatMs = HEARTBEAT_MS, resumeToken = "", snapshot = false, signal } = options;
    this.#client = client;
    this.#options = options;
    this.#heartbeatMs = heartbeatMs;
    this.#resumeToken = resumeToken;
    this.#snapshot = snapshot;
    this.#over = signal === undefined ? this.#leaving.signal : AbortSignal.any([signal, this.#leaving.signal]);
    this.#events = this.#follow();
  }

  /** Stands for the last event that was handed out, or the heartbeat after it: a later watch can go on from there. */
  get resumeToken(): string {
    return this.#resumeToken;
  }

  next(): Promise<IteratorResult<WatchUsersResponse>> {
    return this.#events.next();
  }

  /** Ends the watch, also while an event is waited for. */
  return(): Promise<IteratorResult<WatchUsersResponse>> {
    this.#leaving.abort();
    return this.#events.return(undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async *#follow(): AsyncGenerator<WatchUsersResponse> {
    while (!this.#over.aborted) {
      try {
        yield* this.#call();
      } catch (reason) {
        if (this.#leaving.signal.aborted) return;
        await this.#recover(ConnectError.from(reason));
      }
    }
    if (!this.#leaving.signal.aborted) throw ConnectError.from(this.#over.reason, Code.Canceled);
  }

  /** One call. Ends by throwing, since a call that ends well is one that was cut on its way. */
  async *#call(): AsyncGenerator<WatchUsersResponse> {
    const calling = new AbortController();
    const { headers } = this.#options;
    const signal = AbortSignal.any([this.#over, calling.signal]);
    const request = {
      snapshot: this.#snapshot,
      resumeToken: this.#resumeToken,
      heartbeatInterval: durationFromMs(this.#heartbeatMs),
    };
    const options = { signal, timeoutMs: 0, ...(headers && { headers }) };
    const events = this.#client.watchUsers(request, options)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const { done, value } = await this.#orSilence(events.next(), calling);
        if (done) throw new ConnectError("the watch was ended", Code.Unavailable);
        this.#backoff.reset();
        this.#resumeToken = value.resumeToken;
        if (this.#isNews(value)) yield value;
      }
    } finally {
      calling.abort();
    }
  }

  /** What `event` results in; if it does not come for too long, the call is given up. */
  async #orSilence<T>(event: Promise<T>, calling: AbortController): Promise<T> {
    const timer = setTimeout(
      () => calling.abort(new ConnectError("the service has fallen silent", Code.Unavailable)),
      SILENT_HEARTBEATS * this.#heartbeatMs,
    );
    try {
      return await event;
    } finally {
      clearTimeout(timer);
    }
  }

  #isNews({ type, revision }: WatchUsersResponse): boolean {
    if (type === WatchEventType.HEARTBEAT) return this.#options.heartbeats === true;
    if (type === WatchEventType.SNAPSHOT || type === WatchEventType.SNAPSHOT_END) return true;
    // A resumed call may repeat what the last one told.
    if (revision <= this.#revision) return false;
    this.#revision = revision;
    return true;
  }

  async #recover(error: ConnectError): Promise<void> {
    if (this.#options.onExpired === "snapshot" && this.#resumeToken !== "" && isExpired(error)) {
      this.#resumeToken = "";
      this.#snapshot = true;
      this.#revision = -1n;
    } else if (!isPassing(error)) {
      throw error;
    }
    this.#options.onInterrupted?.(error);
    // An abort shows at the next turn.
    await this.#backoff.pause(error, this.#over).catch(() => {});
  }
}

/**
 * Whether a token leads nowhere: changes are not kept for so long, or the service that made it has forgotten
 * everything.
 */
function isExpired(error: ConnectError): boolean {
  if (error.code === Code.OutOfRange) return true;
  return readFailure(error).violations.some(({ field }) => field === "resume_token");
}

/**
 * Watches users: `for await (const event of watch(client, { snapshot: true }))`. When a call breaks off, or is silent
 * for longer than it should, the next one goes on where it was left, on any replica: no change is missed, and none
 * handed out twice. It ends when the loop is left; it fails with what waiting does not mend, and with the caller's own
 * cancellation.
 */
export function watch(client: WatchingClient, options: WatchOptions = {}): Watch {
  return new Watch(client, options);
}
