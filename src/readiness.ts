import { setTimeout } from "node:timers/promises";

/** Whether something can serve, for those who want to know. */
export class Readiness {
  #ready: boolean;
  #tell: (ready: boolean) => void = () => {};
  readonly #first = Promise.withResolvers<void>();

  constructor(ready: boolean) {
    this.#ready = ready;
    if (ready) this.#first.resolve();
  }

  /** Waits until it has been ready once, but not for longer than so many milliseconds. */
  async within(ms: number): Promise<void> {
    if (this.#ready) return;
    const waiting = new AbortController();
    await Promise.race([this.#first.promise, setTimeout(ms, undefined, waiting).catch(() => {})]);
    waiting.abort();
  }

  /** Says how it is now. */
  set(ready: boolean): void {
    if (ready === this.#ready) return;
    this.#ready = ready;
    if (ready) this.#first.resolve();
    this.#tell(ready);
  }

  /** Tells how it is now, and each time that this changes, to `tell` and from now on to nobody else. */
  follow(tell: (ready: boolean) => void): void {
    this.#tell = tell;
    tell(this.#ready);
  }
}
