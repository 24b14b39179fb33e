import type { ServerCredentials } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { TlsCredentials } from "./tls-credentials.ts";
import type { TlsFault, TlsFiles, TlsIdentity } from "./tls-files.ts";
import { TlsReload } from "./tls-reload.ts";

/** TLS as a server runs it. */
export interface ServerTls {
  /** For bindAsync, or for a connection injector. */
  readonly credentials: ServerCredentials;
  /** Looks after the files no more. */
  close(): void;
}

const DAY_MS = 86_400_000;
/** How long before a certificate expires the log says so, once a day. Who renews by machine does it long before. */
const WARNING_MS = 14 * DAY_MS;

/** Serves with the identity, and with those that come after it into the same files. All of it is logged. */
export function serveTls(files: TlsFiles, identity: TlsIdentity, logger: Logger, lookMs?: number): ServerTls {
  const credentials = new TlsCredentials(identity);
  let current = identity;
  report("certificate loaded");
  const reload = new TlsReload(files, identity, { onReplaced, onRefused }, lookMs);
  const reminder = setInterval(remind, DAY_MS).unref();
  return {
    credentials,
    close() {
      reload.stop();
      clearInterval(reminder);
    },
  };

  function onReplaced(identity: TlsIdentity): void {
    credentials.replace(identity);
    current = identity;
    report("certificate replaced");
  }

  function onRefused(faults: readonly TlsFault[]): void {
    const lines = faults.map(({ file, fault }) => `${files[file]}: ${fault}`);
    logger.error(
      { faults: lines, fingerprint: current.fingerprint },
      "certificate on disk not usable, the last one stays",
    );
  }

  function report(message: string): void {
    const { fingerprint, notAfter, requiresClientCertificate } = current;
    logger.info({ fingerprint, not_after: notAfter, client_certificates: requiresClientCertificate }, message);
    remind();
  }

  function remind(): void {
    const { fingerprint, notAfter } = current;
    if (notAfter.getTime() - Date.now() < WARNING_MS)
      logger.warn({ fingerprint, not_after: notAfter }, "certificate expires soon");
  }
}
