/** Whether something can serve, for those who want to know. */
export class Readiness {
  #ready: boolean;
  #tell: (ready: boolean) => void = () => {};

  constructor(ready: boolean) {
    this.#ready = ready;
  }

  /** Says how it is now. */
  set(ready: boolean): void {
    if (ready === this.#ready) return;
    this.#ready = ready;
    this.#tell(ready);
  }

  /** Tells how it is now, and each time that this changes, to `tell` and from now on to nobody else. */
  follow(tell: (ready: boolean) => void): void {
    this.#tell = tell;
    tell(this.#ready);
  }
}
