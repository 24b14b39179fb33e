import { type Metadata, status } from "@grpc/grpc-js";
import type { CallPolicy } from "../contract/policy.ts";
import { OverloadedError, TooManyStreamsError } from "../grpc/errors.ts";
import { toStatus } from "../grpc/status.ts";
import { InFlightLimit } from "./in-flight-limit.ts";
import type { CallSubscriber } from "./observe.ts";
import { type Interceptor, PassThrough } from "./pass-through.ts";
import { RefusedCall } from "./refused-call.ts";

/** How much work there may be at a time. */
export interface AdmissionLimits {
  /** Calls in flight, live streams not counted; 0 for any number. */
  readonly maxCallsInFlight: number;
  /** Streams that live until someone ends them; 0 for any number. */
  readonly maxLiveStreams: number;
}

/** What admission has to know of calls. */
export interface AdmissionView {
  /** How many calls are open, live streams included. */
  openCalls(): number;
  policyOf(path: string): CallPolicy;
  /** Whether calls of a method are never refused, because somebody acts on the answer. */
  isExempt(path: string): boolean;
}

/** What refuses calls before there are too many. */
export interface Admission {
  readonly interceptor: Interceptor;
  /** Learns from every call that has ended. */
  readonly onEnded: CallSubscriber;
}

/** Calls that arrive so late in a turn of the event loop, in milliseconds, are looked at more closely. */
const LONG_TURN_MS = 20;

/** A call is refused that has waited for more than this share of the time that it has left. */
const WAITED_SHARE = 1 / 3;

/**
 * Sheds load: refuses calls, with RESOURCE_EXHAUSTED and a time to try again, while the ones there are can still be
 * answered in time.
 *
 * There are two queues. Calls in flight wait for a database, for instance; InFlightLimit says how many of them there
 * may be. Calls that nobody has looked at yet wait in the sockets while the event loop is busy with others: whatever
 * arrives late in a long turn has waited at least since the turn began, and is refused if that is too much of its time.
 * Live streams come to stay, and are counted by themselves.
 */
export function createAdmission(limits: AdmissionLimits, { openCalls, policyOf, isExempt }: AdmissionView): Admission {
  const maxInFlight = limits.maxCallsInFlight === 0 ? Number.POSITIVE_INFINITY : limits.maxCallsInFlight;
  const maxLive = limits.maxLiveStreams === 0 ? Number.POSITIVE_INFINITY : limits.maxLiveStreams;
  const inFlight = new InFlightLimit(maxInFlight);
  const live = { open: 0 };
  const turn = new Turn();
  return {
    interceptor({ path }, call) {
      const isLive = policyOf(path).longestDeadlineMs === Number.POSITIVE_INFINITY;
      if (isLive) {
        return live.open < maxLive ? new LiveCall(call, live) : new RefusedCall(call, copyOf(TOO_MANY_STREAMS));
      }
      if (maxInFlight === Number.POSITIVE_INFINITY) return call;
      const isAdmitted = inFlight.admits(openCalls() - live.open);
      const waitedMs = turn.lastedMs();
      if ((isAdmitted && waitedMs < LONG_TURN_MS) || isExempt(path)) return call;
      return isAdmitted ? new WaitedCall(call, waitedMs) : new RefusedCall(call, copyOf(OVERLOADED));
    },
    onEnded({ path, code, durationMs, endedAt, deadline, isUnary }) {
      turn.lookAt(endedAt);
      if (!isUnary || maxInFlight === Number.POSITIVE_INFINITY) return;
      const { defaultDeadlineMs, longestDeadlineMs } = policyOf(path);
      const had = deadline === Number.POSITIVE_INFINITY ? defaultDeadlineMs : deadline - Date.now() + durationMs;
      const hadMs = Math.min(had, longestDeadlineMs);
      // A client that loses patience late has waited for long. Others end early for reasons of their own.
      const isLate = code === status.CANCELLED && durationMs > hadMs / 2;
      if (isLate || code === status.OK || code === status.DEADLINE_EXCEEDED) inFlight.ended(durationMs, hadMs, endedAt);
    },
  };
}

/** Made once: a refusal has to cost less than what it refuses. */
const OVERLOADED = toStatus(new OverloadedError());
const TOO_MANY_STREAMS = toStatus(new TooManyStreamsError());

/** A status whose metadata can be added to. */
function copyOf(given: ReturnType<typeof toStatus>): ReturnType<typeof toStatus> {
  return { ...given, metadata: given.metadata.clone() };
}

/** To look at the clock takes long: one call in so many does. What takes time are calls that end, and tell when. */
const LOOK_EVERY = 8;

/** How long the event loop has been at what it does. */
class Turn {
  #calls = 0;
  #start = 0;
  #lastedMs = 0;
  /** After the sockets have been read, as far as there was anything to read. */
  readonly #end = (): void => {
    this.#calls = 0;
    this.#lastedMs = 0;
  };

  /** Notes that a call has arrived. Returns how long the turn had lasted at the last look. */
  lastedMs(): number {
    if (this.#calls === 0) {
      this.#start = performance.now();
      setImmediate(this.#end);
    } else if (this.#calls % LOOK_EVERY === 0) {
      this.lookAt(performance.now());
    }
    this.#calls++;
    return this.#lastedMs;
  }

  /** Notes what time it is. */
  lookAt(now: number): void {
    if (this.#calls > 0) this.#lastedMs = now - this.#start;
  }
}

/** A call that waited for others to be served before anybody looked at it. */
class WaitedCall extends PassThrough {
  readonly #waitedMs: number;

  constructor(outer: PassThrough["outer"], waitedMs: number) {
    super(outer);
    this.#waitedMs = waitedMs;
  }

  override onReceiveMetadata(metadata: Metadata): void {
    const leftMs = Number(this.outer.getDeadline()) - Date.now();
    if (this.#waitedMs < leftMs * WAITED_SHARE) super.onReceiveMetadata(metadata);
    else this.refuseWith(copyOf(OVERLOADED));
  }
}

/** Counts a live stream while it is open. */
class LiveCall extends PassThrough {
  readonly #live: { open: number };
  #isOpen = false;

  constructor(outer: PassThrough["outer"], live: { open: number }) {
    super(outer);
    this.#live = live;
  }

  override onReceiveMetadata(metadata: Metadata): void {
    this.#live.open++;
    this.#isOpen = true;
    super.onReceiveMetadata(metadata);
  }

  override onCancel(): void {
    if (this.#isOpen) this.#live.open--;
    this.#isOpen = false;
    super.onCancel();
  }
}
