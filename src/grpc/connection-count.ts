import type { Socket } from "node:net";
import { addressGroup } from "./address-group.ts";
import type { ConnectionLimits } from "./connection-limits.ts";
import type { CutReason } from "./cut-connections.ts";

/** Counts the connections of all ports, in all and of each address, and refuses those that are too many. */
export class ConnectionCount {
  readonly #limits: Pick<ConnectionLimits, "maxConnections" | "maxPerAddress">;
  readonly #onRefused: (reason: CutReason) => void;
  readonly #perGroup = new Map<string, number>();
  #size = 0;

  /** A limit of zero is none. */
  constructor(
    limits: Pick<ConnectionLimits, "maxConnections" | "maxPerAddress">,
    onRefused: (reason: CutReason) => void,
  ) {
    this.#limits = limits;
    this.#onRefused = onRefused;
  }

  /** How many are open. */
  get size(): number {
    return this.#size;
  }

  /** Whether a new connection may stay. If not, it is destroyed: the client sees UNAVAILABLE. */
  admit(socket: Socket): boolean {
    // Whoever uses the socket listens too, but TLS not before it has been set up. An error must not end the process.
    socket.on("error", ignore);
    const { remoteAddress } = socket;
    // It is gone already.
    if (remoteAddress === undefined) return refuse(socket);

    const group = addressGroup(remoteAddress);
    const reason = this.#tooMany(group);
    if (reason !== undefined) {
      this.#onRefused(reason);
      return refuse(socket);
    }
    this.#add(group, 1);
    socket.once("close", () => this.#add(group, -1));
    return true;
  }

  #tooMany(group: string): CutReason | undefined {
    const { maxConnections, maxPerAddress } = this.#limits;
    if (maxConnections > 0 && this.#size >= maxConnections) return "too_many_connections";
    if (maxPerAddress > 0 && (this.#perGroup.get(group) ?? 0) >= maxPerAddress) return "too_many_of_address";
    return undefined;
  }

  #add(group: string, by: number): void {
    this.#size += by;
    const ofGroup = (this.#perGroup.get(group) ?? 0) + by;
    if (ofGroup > 0) this.#perGroup.set(group, ofGroup);
    else this.#perGroup.delete(group);
  }
}

function refuse(socket: Socket): false {
  socket.destroy();
  return false;
}

function ignore(): void {}
