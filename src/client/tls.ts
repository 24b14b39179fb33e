import { Buffer } from "node:buffer";
import { type ChannelCredentials, type ChannelOptions, credentials } from "@grpc/grpc-js";

/** How a client secures its connections, if not by what the system trusts alone. Certificates and keys are PEM. */
export interface TlsClientOptions {
  /** The certificates of those who may have signed the server's, instead of the authorities that Node.js knows. */
  readonly ca?: string | Uint8Array;
  /** The client's own certificate, for servers that want one, followed by those between it and a root. */
  readonly cert?: string | Uint8Array;
  /** The private key of `cert`, not encrypted. */
  readonly key?: string | Uint8Array;
  /** The name that the server's certificate must have, instead of the host in the address. */
  readonly serverName?: string;
}

/**
 * The credentials of a channel; true stands for the authorities that Node.js knows.
 *
 * @throws Error if a certificate or a key is none, or if there is one without the other.
 */
export function toCredentials(tls: boolean | TlsClientOptions): ChannelCredentials {
  if (tls === false) return credentials.createInsecure();
  const { ca, key, cert } = tls === true ? {} : tls;
  return credentials.createSsl(toBuffer(ca), toBuffer(key), toBuffer(cert));
}

/** What a channel has to know besides. */
export function toTlsChannelOptions(tls: boolean | TlsClientOptions): ChannelOptions {
  if (typeof tls === "boolean" || tls.serverName === undefined) return {};
  return { "grpc.ssl_target_name_override": tls.serverName, "grpc.default_authority": tls.serverName };
}

function toBuffer(pem: string | Uint8Array | undefined): Buffer | null {
  return pem === undefined ? null : Buffer.from(pem);
}
