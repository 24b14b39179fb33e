import type { Random } from "../../support/random.ts";
import type { CallEnd } from "./call-end.ts";
import { type Creation, type EndedCall, type Habits, LoadClient } from "./load-client.ts";

/** Clients that call a service without a pause, until they are stopped. */
export class Load implements Habits {
  readonly random: Random;
  timeoutMs = 10_000;
  readonly #clients: readonly LoadClient[];
  readonly #ended: Promise<unknown>;

  constructor(port: number, clients: number, random: Random) {
    this.random = random;
    this.#clients = Array.from({ length: clients }, (_, number) => new LoadClient(port, number, this));
    this.#ended = Promise.all(this.#clients.map((client) => client.run()));
  }

  /** The calls that have ended. */
  get calls(): EndedCall[] {
    return this.#clients.flatMap(({ calls }) => calls);
  }

  get creations(): Creation[] {
    return this.#clients.flatMap(({ creations }) => creations);
  }

  /** The users whom one client each has changed, with the names that they may have. */
  get ownUsers(): LoadClient["own"][] {
    return this.#clients.map(({ own }) => own);
  }

  /** Waits until each client has made another call that ended so. */
  async until(isSo: (end: CallEnd) => boolean): Promise<void> {
    await Promise.race([Promise.all(this.#clients.map((client) => client.until(isSo))), this.#ended]);
  }

  /** Waits until the last calls have ended. */
  async stop(): Promise<void> {
    for (const client of this.#clients) client.stop();
    await this.#ended;
  }

  /** Sends the requests again of which no client knows what has become, and waits until all of them have succeeded. */
  async repeat(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.repeat()));
  }

  /** Ends all calls at once. */
  disconnect(): void {
    for (const client of this.#clients) client.disconnect();
  }
}
