import type { Metadata, ServerInterceptingCallInterface } from "@grpc/grpc-js";
import type { Principal } from "../domain/principal.ts";
import { UnauthenticatedError } from "../grpc/errors.ts";

/** Who calls, and how long that is proven. */
export interface Identity {
  readonly principal: Principal;
  /** Milliseconds since the epoch; Infinity if the proof never expires. */
  readonly expiresAtMs: number;
}

/**
 * Finds out who calls, from the call's metadata and from its connection: at once where that is possible, else as a
 * promise. `wire` is the call as grpc-js made it.
 *
 * @throws UnauthenticatedError, or rejects with it, if nothing proves an identity.
 */
export type Authenticate = (metadata: Metadata, wire: ServerInterceptingCallInterface) => Identity | Promise<Identity>;

/**
 * Lets a token decide where a call carries an authorization of any kind, and the client's certificate where it carries
 * none. So a service that acts for a user is judged as that user, and a bad token is never mended by a good
 * certificate.
 */
export function byTokenOrCertificate(byToken: Authenticate, byCertificate: Authenticate): Authenticate {
  return (metadata, wire) => {
    const decides = metadata.get("authorization").length > 0 ? byToken : byCertificate;
    return decides(metadata, wire);
  };
}

/** Takes no token for proof: there is no key that one could be verified with. */
export const believeNoToken: Authenticate = () => {
  throw new UnauthenticatedError();
};
