import { randomBytes } from "node:crypto";
import { type Duplex, duplexPair } from "node:stream";
import { type Metadata, type Server, ServerCredentials, type ServerInterceptingCallInterface } from "@grpc/grpc-js";

/** Opens connections to a server of the same process: neither socket nor TLS is between. */
export function connectInProcess(server: Server): () => Duplex {
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  return () => {
    const [near, far] = duplexPair();
    injector.injectConnection(far);
    return near;
  };
}

const CALLER = "x-gateway-caller";
/** What grpc-js says of a connection that has no address. */
const NO_PEER = "unknown";

/** Tells where calls come from, also those that a gateway of this process hands on. */
export class CallerAddresses {
  /** Nobody outside the process can know it. */
  readonly #secret = `${randomBytes(16).toString("base64url")} `;

  /** The metadata by which a call within the process says on whose behalf it is made. */
  headerFor(address: string): readonly [name: string, value: string] {
    return [CALLER, this.#secret + address];
  }

  /** The address of a call's client, with its port where that is known. */
  of(call: Pick<ServerInterceptingCallInterface, "getPeer">, metadata: Metadata): string {
    const peer = call.getPeer();
    if (peer !== NO_PEER) return peer;
    const [told] = metadata.get(CALLER);
    return typeof told === "string" && told.startsWith(this.#secret) ? told.slice(this.#secret.length) : peer;
  }
}
