import { randomBytes } from "node:crypto";
import { type Duplex, duplexPair } from "node:stream";
import { type Metadata, type Server, ServerCredentials } from "@grpc/grpc-js";

/** Opens connections to a server of the same process: neither socket nor TLS is between. */
export function connectInProcess(server: Server): () => Duplex {
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  return () => {
    const [near, far] = duplexPair();
    injector.injectConnection(far);
    return near;
  };
}

/** Request metadata: on whose behalf the gateway calls. */
const CALLER = "x-gateway-caller";

/** Tells on whose behalf a gateway of this process calls. */
export class CallerAddresses {
  /** Nobody outside the process can know it. */
  readonly #secret = `${randomBytes(16).toString("base64url")} `;

  /** The metadata of a call that is made for the client at an address. */
  headerFor(address: string): readonly [name: string, value: string] {
    return [CALLER, this.#secret + address];
  }

  /** The address of the client for whom a call is made; undefined unless the gateway of this process has said so. */
  toldBy(metadata: Metadata): string | undefined {
    const [told] = metadata.get(CALLER);
    return typeof told === "string" && told.startsWith(this.#secret) ? told.slice(this.#secret.length) : undefined;
  }
}
