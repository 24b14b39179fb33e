import { ServerCredentials } from "@grpc/grpc-js";
import type { TlsIdentity } from "./tls-files.ts";

/** Milliseconds that a client has for its handshake. Node's default, two minutes, is an invitation to hold connections. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/**
 * Credentials of a server whose identity can be replaced while it serves: connections that are open go on as they are,
 * new ones get the new identity. Whether clients need a certificate is settled by the first.
 *
 * grpc-js's own, createCertificateProviderServerCredentials over a FileWatcherCertificateProvider, drop every new connection
 * until the first read is done, and again whenever the files are away or the key on disk is not yet, or no longer, that
 * of the certificate. They also forget the ciphers at the first replacement, and have no say in versions and timeouts.
 */
export class TlsCredentials extends ServerCredentials {
  constructor({ context, requiresClientCertificate }: TlsIdentity) {
    const constructorOptions = {
      requestCert: requiresClientCertificate,
      rejectUnauthorized: requiresClientCertificate,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    };
    super(constructorOptions, context);
  }

  /** Serves new connections with another identity. */
  replace({ context }: TlsIdentity): void {
    this.updateSecureContextOptions(context);
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}
