import { Code, ConnectError } from "@connectrpc/connect";
import { CallNotes } from "./call-event.ts";

/**
 * The longest time that a timer of Node measures, 24 days. What is to take longer has no deadline: much longer ones end
 * the process in grpc-js.
 */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * The time between the start of a call and its end. Whatever calls the call off on this side aborts its signal, with
 * the error that the call fails with: the caller's own signal, the deadline, the end of the client, a request stream
 * that fails.
 */
export class CallScope {
  /** When the call must be over, in milliseconds since the epoch; Infinity for never, or not within 24 days. */
  readonly deadline: number;
  /** What the response tells of the call. */
  readonly notes: CallNotes = new CallNotes();
  readonly #controller = new AbortController();
  readonly #callerSignal: AbortSignal | undefined;
  readonly #onEnd: (scope: CallScope, code: Code | undefined) => void;
  #onWire = false;
  #over = false;
  #timer: NodeJS.Timeout | undefined;

  /** `onEnd` is told once when the call has ended, and how: undefined stands for OK. */
  constructor(
    callerSignal: AbortSignal | undefined,
    timeoutMs: number,
    onEnd: (scope: CallScope, code: Code | undefined) => void,
  ) {
    this.deadline = timeoutMs <= LONGEST_TIMER_MS ? Date.now() + timeoutMs : Number.POSITIVE_INFINITY;
    this.#callerSignal = callerSignal;
    this.#onEnd = onEnd;
    if (timeoutMs <= LONGEST_TIMER_MS) this.#timer = setTimeout(this.#expire, timeoutMs);
    callerSignal?.addEventListener("abort", this.#follow);
    if (callerSignal?.aborted) this.#follow();
  }

  /** Aborted when the call is called off. Its reason is a ConnectError. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether grpc-js has the call. */
  get onWire(): boolean {
    return this.#onWire;
  }

  /** Whether the call has ended, however it did. */
  get over(): boolean {
    return this.#over;
  }

  /** Says that grpc-js has the call, and watches its deadline. Its error tells where the time went. */
  handOver(): void {
    this.#onWire = true;
    clearTimeout(this.#timer);
  }

  /** Calls the call off, unless it has ended already. The first reason stays. */
  abort(reason: ConnectError): void {
    if (this.#over) return;
    this.#controller.abort(reason);
    this.end(reason.code);
  }

  /** Lets go of all that watched the call, which has ended with this code; undefined stands for OK. */
  end(code: Code | undefined): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#callerSignal?.removeEventListener("abort", this.#follow);
    this.#onEnd(this, code);
  }

  /** What `work` results in, unless the call is called off before. */
  race<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.signal.addEventListener("abort", () => reject(this.signal.reason));
      if (this.signal.aborted) reject(this.signal.reason);
      work.then(resolve, reject);
    });
  }

  readonly #expire = () => this.abort(new ConnectError("the deadline has passed", Code.DeadlineExceeded));

  readonly #follow = () => this.abort(ConnectError.from(this.#callerSignal?.reason, Code.Canceled));
}
